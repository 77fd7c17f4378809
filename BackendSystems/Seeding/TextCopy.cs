using System.Buffers;
using System.Globalization;
using System.Text;
using Npgsql;

namespace BackendSystems.Seeding;

/// <summary>Fills a table by PostgreSQL's COPY in its text format, which costs a quarter of what writing value by value in binary does.</summary>
internal static class TextCopy
{
    private static readonly SearchValues<char> Special = SearchValues.Create("\\\t\n\r");

    /// <param name="target">Table and columns, such as <c>erp.plants (plant)</c>.</param>
    /// <param name="rows">Values in the order of the columns: null, text, whole and decimal numbers, booleans, dates and times.</param>
    public static async Task CopyAsync(this NpgsqlConnection connection, string target, IEnumerable<object?[]> rows, CancellationToken ct)
    {
        await using var writer = await connection.BeginTextImportAsync($"copy {target} from stdin", ct);
        var line = new StringBuilder();
        foreach (var row in rows)
        {
            line.Clear();
            foreach (var value in row)
            {
                Append(line, value);
                line.Append('\t');
            }

            line[^1] = '\n';
            // Nothing else runs yet, and a thread that waits is cheaper than a hundred thousand continuations.
            writer.Write(line);
        }
    }

    private static void Append(StringBuilder line, object? value)
    {
        _ = value switch
        {
            null => line.Append("\\N"),
            string text => text.AsSpan().ContainsAny(Special) ? line.Append(Escape(text)) : line.Append(text),
            bool truth => line.Append(truth ? 't' : 'f'),
            int number => line.Append(number),
            long number => line.Append(number),
            decimal number => line.Append(CultureInfo.InvariantCulture, $"{number}"),
            DateTimeOffset time => line.Append(CultureInfo.InvariantCulture, $"{time:O}"),
            DateOnly date => line.Append(CultureInfo.InvariantCulture, $"{date:O}"),
            _ => throw new ArgumentException($"A {value.GetType().Name} cannot be copied.", nameof(value)),
        };
    }

    private static string Escape(string text) => text
        .Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("\t", "\\t", StringComparison.Ordinal)
        .Replace("\n", "\\n", StringComparison.Ordinal)
        .Replace("\r", "\\r", StringComparison.Ordinal);
}
