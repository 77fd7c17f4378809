using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>A value that is not written in the model.</summary>
public class ParameterResource : Resource, IExpressionValue
{
    private readonly Lazy<string> _value;
    private TaskCompletionSource<string>? _awaited;

    public ParameterResource(string name, Func<ParameterDefault?, string> callback, bool secret = false)
        : base(name)
    {
        ArgumentNullException.ThrowIfNull(callback);
        _value = new(() => callback(Default));
        Secret = secret;
    }

    public ParameterDefault? Default { get; set; }

    /// <summary>Never shown.</summary>
    public bool Secret { get; }

    public bool IsConnectionString { get; set; }

    public string ValueExpression => IsConnectionString ? $"{{{Name}.connectionString}}" : $"{{{Name}.value}}";

    public string? Description { get; set; }

    public bool EnableDescriptionMarkdown { get; set; }

    /// <summary>Whether somebody has yet to give the value.</summary>
    internal bool IsMissing => _awaited is { Task.IsCompleted: false };

    /// <summary>The value, if it has been needed before.</summary>
    internal string? CurrentValue => _awaited is { Task.IsCompletedSuccessfully: true } given ? given.Task.Result : _value.IsValueCreated ? _value.Value : null;

    /// <summary>Keeps a value for the next runs; false if that is not possible.</summary>
    internal Func<string, bool> Keep { get; init; } = _ => false;

    /// <exception cref="MissingParameterValueException">The parameter has no value, and nobody is expected to give one.</exception>
    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken) =>
        _awaited is { } awaited ? new(awaited.Task.WaitAsync(cancellationToken)!) : new(_value.Value);

    [SuppressMessage("Naming", "CA1725", Justification = "Aspire's parameter name.")]
    public ValueTask<string?> GetValueAsync(ValueProviderContext _, CancellationToken cancellationToken) => GetValueAsync(cancellationToken);

    /// <summary>If the parameter has no value, whoever needs it waits from now on until it is given; the message says what is missing. Null if it has one.</summary>
    internal string? AwaitIfMissing()
    {
        try
        {
            _ = _value.Value;
            return null;
        }
        catch (MissingParameterValueException missing)
        {
            Interlocked.CompareExchange(ref _awaited, new(TaskCreationOptions.RunContinuationsAsynchronously), null);
            return IsMissing ? missing.Message : null;
        }
    }

    /// <summary>Gives a missing value.</summary>
    /// <returns>Whether it is kept for the next runs.</returns>
    internal bool Give(string value, bool keep) => _awaited?.TrySetResult(value) == true && keep && Keep(value);
}

/// <summary>The value of a parameter that is not configured.</summary>
public abstract class ParameterDefault
{
    public abstract string GetDefaultValue();
}

/// <summary>
/// A random value from a cryptographic source. Letters that are easily confused (i, l, o in either case) are left out; special characters are
/// <c>-_.{}~()*+!</c>.
/// </summary>
public sealed class GenerateParameterDefault : ParameterDefault
{
    private const string LowerAlphabet = "abcdefghjkmnpqrstuvwxyz";
    private const string UpperAlphabet = "ABCDEFGHJKMNPQRSTUVWXYZ";
    private const string NumericAlphabet = "0123456789";
    private const string SpecialAlphabet = "-_.{}~()*+!";

    /// <summary>The fewest characters; the minimum counts of the kinds together may ask for more.</summary>
    public int MinLength { get; set; }

    public bool Lower { get; set; } = true;

    public bool Upper { get; set; } = true;

    public bool Numeric { get; set; } = true;

    public bool Special { get; set; } = true;

    public int MinLower { get; set; }

    public int MinUpper { get; set; }

    public int MinNumeric { get; set; }

    public int MinSpecial { get; set; }

    /// <summary>A new value each time.</summary>
    /// <exception cref="InvalidOperationException">No kind of character is allowed, or one that is not allowed has a minimum.</exception>
    public override string GetDefaultValue()
    {
        (bool Allowed, int Min, string Alphabet)[] kinds =
        [
            (Lower, MinLower, LowerAlphabet), (Upper, MinUpper, UpperAlphabet), (Numeric, MinNumeric, NumericAlphabet), (Special, MinSpecial, SpecialAlphabet),
        ];

        if (Array.Exists(kinds, kind => kind.Min < 0 || (!kind.Allowed && kind.Min > 0)) || !Array.Exists(kinds, kind => kind.Allowed))
        {
            throw new InvalidOperationException(
                "A generated value needs at least one kind of character, and no minimum for a kind that is switched off: correct the GenerateParameterDefault.");
        }

        List<char> characters = [];
        foreach (var kind in kinds)
        {
            characters.AddRange(RandomNumberGenerator.GetString(kind.Alphabet, kind.Min));
        }

        if (characters.Count < MinLength)
        {
            var all = string.Concat(kinds.Where(kind => kind.Allowed).Select(kind => kind.Alphabet));
            characters.AddRange(RandomNumberGenerator.GetString(all, MinLength - characters.Count));
        }

        var result = characters.ToArray();
        RandomNumberGenerator.Shuffle<char>(result);
        return new string(result);
    }
}

/// <summary>A value that was generated once and is kept in the user secrets.</summary>
internal sealed class KeptParameterDefault(UserSecrets secrets, string parameterName, ParameterDefault generated) : ParameterDefault
{
    public override string GetDefaultValue() => secrets.GetOrAdd($"Parameters:{parameterName}", generated.GetDefaultValue);
}

/// <summary>A value that is written in the model.</summary>
internal sealed class ConstantParameterDefault(Func<string> value) : ParameterDefault
{
    public override string GetDefaultValue() => value();
}
