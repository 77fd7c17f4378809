using System.Globalization;
using System.Text;

namespace MobileServices.Analytics.Queries;

/// <summary>Rows as a file (RFC 4180).</summary>
internal sealed class Csv : IResult
{
    private readonly StringBuilder _text = new();

    private Csv()
    {
    }

    public static Csv Of(string[] names, IEnumerable<object?[]> rows)
    {
        var csv = new Csv();
        csv.Add(names);
        foreach (var row in rows)
        {
            csv.Add(row);
        }
        return csv;
    }

    public Task ExecuteAsync(HttpContext httpContext)
    {
        httpContext.Response.ContentType = "text/csv; charset=utf-8";
        httpContext.Response.Headers.ContentDisposition = "attachment; filename=\"analytics.csv\"";
        return httpContext.Response.WriteAsync(_text.ToString(), httpContext.RequestAborted);
    }

    private void Add(object?[] values) => _text.AppendJoin(',', values.Select(Field)).Append("\r\n");

    /// <summary>A text that a spreadsheet would take for a formula gets an apostrophe: names of events come from anybody.</summary>
    private static string Field(object? value)
    {
        if (value is not string text)
        {
            return Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
        }
        var safe = text.Length > 0 && text[0] is '=' or '+' or '-' or '@' or '\t' or '\r' ? $"'{text}" : text;
        return safe.AsSpan().IndexOfAny(",\"\r\n") < 0 ? safe : $"\"{safe.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
