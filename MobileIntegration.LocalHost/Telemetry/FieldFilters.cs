using System.Globalization;

namespace MobileIntegration.LocalHost.Telemetry;

internal static class FieldFilters
{
    public static bool Matches(this FieldFilter filter, TelemetrySpan span) => Matches(filter, filter.Field switch
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

    public static bool Matches(this FieldFilter filter, TelemetryLog log) => Matches(filter, filter.Field switch
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

    public static bool Contains(string text, string part) => text.Contains(part, StringComparison.OrdinalIgnoreCase);

    public static bool Contains(TelemetryAttribute[] attributes, string part)
    {
        foreach (var attribute in attributes)
        {
            if (attribute.Value is not null && Contains(attribute.Text, part))
            {
                return true;
            }
        }

        return false;
    }

    private static object? Find(TelemetryResource resource, string key)
    {
        foreach (var attribute in resource.Attributes)
        {
            if (attribute.Key == key)
            {
                return attribute.Value;
            }
        }

        return null;
    }

    private static bool Matches(FieldFilter filter, object? value)
    {
        if (value is null)
        {
            return filter.Operator is FieldOperator.NotEqual or FieldOperator.NotContains;
        }

        return filter.Operator switch
        {
            FieldOperator.Contains => Contains(TelemetryAttribute.Format(value), filter.Value),
            FieldOperator.NotContains => !Contains(TelemetryAttribute.Format(value), filter.Value),
            FieldOperator.Equal => Compare(value, filter.Value) == 0,
            FieldOperator.NotEqual => Compare(value, filter.Value) != 0,
            FieldOperator.GreaterThan => Compare(value, filter.Value) > 0,
            FieldOperator.LessThan => Compare(value, filter.Value) < 0,
            FieldOperator.AtLeast => Compare(value, filter.Value) >= 0,
            _ => Compare(value, filter.Value) <= 0,
        };
    }

    private static int Compare(object value, string other)
    {
        var text = TelemetryAttribute.Format(value);
        return double.TryParse(other, NumberStyles.Float, CultureInfo.InvariantCulture, out var right) &&
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var left)
                ? left.CompareTo(right)
                : string.Compare(text, other, StringComparison.OrdinalIgnoreCase);
    }
}
