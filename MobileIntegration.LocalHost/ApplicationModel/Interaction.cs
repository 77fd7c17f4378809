using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace MobileIntegration.LocalHost;

/// <summary>The kinds of input.</summary>
public enum InputType
{
    Text = 0,
    SecretText = 1,
    Choice = 2,
    Boolean = 3,
    Number = 4,
}

/// <summary>An argument that a command asks for.</summary>
public sealed class InteractionInput
{
    /// <summary>The name a command finds the value under.</summary>
    public required string Name { get; init; }

    /// <summary>What a form calls it; the name when null.</summary>
    public string? Label { get; init; }

    public string? Description { get; init; }

    public bool EnableDescriptionMarkdown { get; init; }

    public required InputType InputType { get; init; }

    public bool Required { get; init; }

    /// <summary>The choices: value and text.</summary>
    public IReadOnlyList<KeyValuePair<string, string>>? Options { get; set; }

    public string? Value { get; set; }

    public string? Placeholder { get; init; }

    /// <summary>A choice may also be something that is not among the options.</summary>
    public bool AllowCustomChoice { get; init; }

    public bool Disabled { get; set; }

    /// <summary>The most characters a text may have.</summary>
    public int? MaxLength { get; init; }
}

/// <summary>The arguments of a command, by position and by name.</summary>
[SuppressMessage("Naming", "CA1710", Justification = "Aspire's name.")]
public sealed class InteractionInputCollection(IReadOnlyList<InteractionInput> inputs) : IReadOnlyList<InteractionInput>
{
    public int Count => inputs.Count;

    public IEnumerable<string> Names => inputs.Select(input => input.Name);

    public InteractionInput this[int index] => inputs[index];

    public InteractionInput this[string name] => TryGetByName(name, out var input)
        ? input
        : throw new KeyNotFoundException($"There is no argument '{name}'; there are: {string.Join(", ", Names)}.");

    public bool ContainsName(string name) => TryGetByName(name, out _);

    public bool TryGetByName(string name, [NotNullWhen(true)] out InteractionInput? input)
    {
        input = inputs.FirstOrDefault(other => string.Equals(other.Name, name, StringComparison.OrdinalIgnoreCase));
        return input is not null;
    }

    public string? GetString(string name) => this[name].Value;

    public bool GetBoolean(string name) => bool.Parse(Value(name));

    public int GetInt32(string name) => int.Parse(Value(name), CultureInfo.InvariantCulture);

    public double GetDouble(string name) => double.Parse(Value(name), CultureInfo.InvariantCulture);

    public InteractionInput[] ToArray() => [.. inputs];

    public IEnumerator<InteractionInput> GetEnumerator() => inputs.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private string Value(string name) => this[name].Value ?? throw new FormatException($"Argument '{name}' has no value.");
}

/// <summary>Collects what is wrong with a set of inputs.</summary>
public sealed class InputsDialogValidationContext
{
    private readonly List<string> _errors = [];

    public required InteractionInputCollection Inputs { get; init; }

    public required CancellationToken CancellationToken { get; init; }

    public required IServiceProvider Services { get; init; }

    internal IReadOnlyList<string> Errors => _errors;

    public void AddValidationError(InteractionInput input, string errorMessage) => AddValidationError(input.Name, errorMessage);

    public void AddValidationError(string inputName, string errorMessage) => _errors.Add($"{inputName}: {errorMessage}");
}
