using System.Globalization;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>A field filter, made ready to be held against many spans or records.</summary>
internal sealed class FieldMatcher(FieldFilter filter)
{
    private readonly double? _number =
        double.TryParse(filter.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;

    public bool Matches(TelemetrySpan span) => Matches(filter.Field switch
    {
        "name" => span.Name,
        "kind" => span.Kind.ToString(),
        "status" => span.Status.ToString(),
        "duration" => span.Duration.TotalMilliseconds,
        "resource" => span.Resource.Name,
        "scope" => span.Scope.Name,
        "trace_id" => span.TraceId.ToString(),
        "span_id" => span.SpanId.ToString(),
        var key => span[key] ?? Find(span.Resource, key),
    });

    public bool Matches(TelemetryLog log) => Matches(filter.Field switch
    {
        "message" => log.Message,
        "severity" => (long)log.Severity,
        "category" => log.Scope.Name,
        "event" => log.EventName,
        "resource" => log.Resource.Name,
        "trace_id" => log.TraceId.ToString(),
        "span_id" => log.SpanId.ToString(),
        var key => log[key] ?? Find(log.Resource, key),
    });

    private static object? Find(TelemetryResource resource, string key)
    {
        foreach (var attribute in resource.AttributeArray)
        {
            if (attribute.Key == key)
            {
                return attribute.Value;
            }
        }

        return null;
    }

    private bool Matches(object? value) => value is null
        ? filter.Operator is FieldOperator.NotEqual or FieldOperator.NotContains
        : filter.Operator switch
        {
            FieldOperator.Contains => Contains(value),
            FieldOperator.NotContains => !Contains(value),
            FieldOperator.Equal => Compare(value) == 0,
            FieldOperator.NotEqual => Compare(value) != 0,
            FieldOperator.GreaterThan => Compare(value) > 0,
            FieldOperator.LessThan => Compare(value) < 0,
            FieldOperator.AtLeast => Compare(value) >= 0,
            _ => Compare(value) <= 0,
        };

    private bool Contains(object value) => TelemetryAttribute.Format(value).Contains(filter.Value, StringComparison.OrdinalIgnoreCase);

    private int Compare(object value)
    {
        if (_number is { } right)
        {
            double? left = value switch
            {
                long number => number,
                double number => number,
                string text when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => number,
                _ => null,
            };
            if (left is { } known)
            {
                return known.CompareTo(right);
            }
        }

        return string.Compare(TelemetryAttribute.Format(value), filter.Value, StringComparison.OrdinalIgnoreCase);
    }
}

/// <summary>
/// Looks for a text without regard to case. Most values come again and again as one instance (<see cref="StringPool"/>), so those that were looked
/// through last and do not have it are passed over. For one thread.
/// </summary>
internal sealed class TextMatcher(string text)
{
    private readonly string?[] _misses = new string?[1024];

    public bool Matches(string value)
    {
        if (value.Length < text.Length)
        {
            return false;
        }

        ref var miss = ref _misses[((value.Length * 31) + value[^1] + (value[value.Length / 2] * 7)) & 1023];
        if (ReferenceEquals(miss, value))
        {
            return false;
        }

        if (value.Contains(text, StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        miss = value;
        return false;
    }

    public bool Matches(TelemetryAttribute[] attributes)
    {
        Span<char> digits = stackalloc char[32];
        foreach (var attribute in attributes)
        {
            var found = attribute.Value switch
            {
                null => false,
                string value => Matches(value),
                long value => value.TryFormat(digits, out var count, default, CultureInfo.InvariantCulture) &&
                    digits[..count].Contains(text, StringComparison.OrdinalIgnoreCase),
                _ => attribute.Text.Contains(text, StringComparison.OrdinalIgnoreCase),
            };
            if (found)
            {
                return true;
            }
        }

        return false;
    }
}
