using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>Builds a <see cref="ReferenceExpression"/> piece by piece.</summary>
public class ReferenceExpressionBuilder
{
    private readonly StringBuilder _format;
    private readonly List<object> _holes = [];
    private readonly List<string?> _formats = [];

    public ReferenceExpressionBuilder()
        : this(64)
    {
    }

    internal ReferenceExpressionBuilder(int capacity) => _format = new(capacity);

    public bool IsEmpty => _format.Length == 0;

    /// <summary>Appends an interpolated string; the handler has done so by the time this is called.</summary>
    [SuppressMessage("Performance", "CA1822", Justification = "The handler works on this builder.")]
    [SuppressMessage("Style", "IDE0060", Justification = "The handler works on this builder.")]
    public void Append([InterpolatedStringHandlerArgument("")] ref ReferenceExpressionBuilderInterpolatedStringHandler handler)
    {
    }

    public void AppendLiteral(string value) => _format.Append(value.Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal));

    public void AppendFormatted(string? value) => AppendFormatted(value, null);

    public void AppendFormatted(string? value, string? format = null)
    {
        if (ReferenceExpression.ApplyFormat(value, format) is { } text)
        {
            AppendLiteral(text);
        }
    }

    public void AppendFormatted<T>(T valueProvider)
        where T : IValueProvider, IManifestExpressionProvider => AppendFormatted(valueProvider, null);

    public void AppendFormatted<T>(T valueProvider, string? format)
        where T : IValueProvider, IManifestExpressionProvider => AppendValueProvider(valueProvider, format);

    /// <summary>Appends a hole.</summary>
    /// <exception cref="ArgumentException">The object is neither text nor a value with an expression.</exception>
    public void AppendValueProvider(object valueProvider, string? format = null)
    {
        switch (valueProvider)
        {
            case string text:
                AppendFormatted(text, format);
                return;
            case IResourceBuilder<IResource> builder:
                AppendValueProvider(builder.Resource, format);
                return;
            case IValueProvider and IManifestExpressionProvider:
                _format.Append('{').Append(_holes.Count.ToString(CultureInfo.InvariantCulture)).Append('}');
                _holes.Add(valueProvider);
                _formats.Add(format);
                return;
            default:
                throw new ArgumentException(
                    $"A {valueProvider?.GetType().Name ?? "null"} cannot fill a hole of an expression: use text, a parameter, an endpoint or a resource with a connection string.",
                    nameof(valueProvider));
        }
    }

    public ReferenceExpression Build() => ReferenceExpression.From(_format.ToString(), [.. _holes], [.. _formats]);

    /// <summary>Takes an interpolated string apart for the compiler.</summary>
    [InterpolatedStringHandler]
    public ref struct ReferenceExpressionBuilderInterpolatedStringHandler(int literalLength, int formattedCount, ReferenceExpressionBuilder builder)
    {
        private readonly ReferenceExpressionBuilder _builder = builder.Reserve(literalLength + (formattedCount * 3));

        public readonly void AppendLiteral(string value) => _builder.AppendLiteral(value);

        public readonly void AppendFormatted(string? value) => _builder.AppendFormatted(value);

        public readonly void AppendFormatted(string? value, string format) => _builder.AppendFormatted(value, format);

        public readonly void AppendFormatted<T>(T valueProvider)
            where T : IValueProvider, IManifestExpressionProvider => _builder.AppendFormatted(valueProvider);

        public readonly void AppendFormatted<T>(T valueProvider, string? format)
            where T : IValueProvider, IManifestExpressionProvider => _builder.AppendFormatted(valueProvider, format);

        public readonly void AppendFormatted<T>(IResourceBuilder<T> valueProvider)
            where T : IResource, IValueProvider, IManifestExpressionProvider => _builder.AppendFormatted(valueProvider.Resource);

        public readonly void AppendFormatted<T>(IResourceBuilder<T> valueProvider, string? format)
            where T : IResource, IValueProvider, IManifestExpressionProvider => _builder.AppendFormatted(valueProvider.Resource, format);
    }

    private ReferenceExpressionBuilder Reserve(int length)
    {
        _format.EnsureCapacity(_format.Length + length);
        return this;
    }
}
