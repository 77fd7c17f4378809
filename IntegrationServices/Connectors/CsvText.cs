using System.Text;

namespace IntegrationServices.Connectors;

/// <summary>Lines of CSV (RFC 4180) out of a stream of any size, each of a bounded length.</summary>
internal sealed class CsvText(Stream stream, Encoding encoding, char separator)
{
    /// <summary>Bytes of a line; of a longer one the beginning is kept to show.</summary>
    public const int LongestLine = 64 * 1024;
    private const int Shown = 1_000;

    /// <summary>A field may hold line breaks; a quote that somebody forgot must not swallow the file.</summary>
    private const int MostLinesOfARecord = 5;

    private readonly byte[] _buffer = new byte[LongestLine];
    private readonly List<Line> _ahead = [];
    private int _at;
    private int _end;
    private int _line;

    /// <summary>The next record; null at the end. One that cannot be split has no fields, and reading goes on behind its first line.</summary>
    public async ValueTask<CsvRecord?> ReadAsync(CancellationToken ct)
    {
        if (await AheadAsync(0, ct) is not { } first)
        {
            return null;
        }
        if (first.Problem is not null)
        {
            _ahead.RemoveAt(0);
            return new(first.Number, first.Text, null, first.Problem);
        }
        var text = first.Text;
        for (var lines = 1; ; lines++)
        {
            if (Split(text, separator) is { } fields)
            {
                _ahead.RemoveRange(0, lines);
                return new(first.Number + lines - 1, text, fields, null);
            }
            if (lines == MostLinesOfARecord || await AheadAsync(lines, ct) is not { Problem: null } next || text.Length + next.Text.Length > LongestLine)
            {
                _ahead.RemoveAt(0);
                return new(first.Number, first.Text, null, "It has a quote that does not end, or text behind one.");
            }
            text += "\r\n" + next.Text;
        }
    }

    /// <returns>Null when a quote does not end, or ends in the middle of a field.</returns>
    public static List<string>? Split(string text, char separator)
    {
        var fields = new List<string>();
        for (var at = 0; ;)
        {
            if (at < text.Length && text[at] is '"')
            {
                var field = new StringBuilder();
                for (at++; ; at++)
                {
                    var quote = text.IndexOf('"', at);
                    if (quote < 0)
                    {
                        return null;
                    }
                    field.Append(text, at, quote - at);
                    at = quote + 1;
                    if (at == text.Length || text[at] is not '"')
                    {
                        break;
                    }
                    field.Append('"');
                }
                fields.Add(field.ToString());
                if (at == text.Length)
                {
                    return fields;
                }
                if (text[at++] != separator)
                {
                    return null;
                }
            }
            else
            {
                var end = text.IndexOf(separator, at);
                fields.Add(end < 0 ? text[at..] : text[at..end]);
                if (end < 0)
                {
                    return fields;
                }
                at = end + 1;
            }
        }
    }

    private async ValueTask<Line?> AheadAsync(int index, CancellationToken ct)
    {
        while (_ahead.Count <= index)
        {
            if (await ReadLineAsync(ct) is not { } line)
            {
                return null;
            }
            _ahead.Add(line);
        }
        return _ahead[index];
    }

    private async ValueTask<Line?> ReadLineAsync(CancellationToken ct)
    {
        using var kept = new MemoryStream();
        for (long length = 0; ;)
        {
            if (_at == _end)
            {
                (_at, _end) = (0, await stream.ReadAsync(_buffer, ct));
                if (_end is 0)
                {
                    return length is 0 ? null : Make(kept, length);
                }
            }
            var part = _buffer.AsSpan(_at, _end - _at);
            var end = part.IndexOf((byte)'\n');
            part = end < 0 ? part : part[..end];
            kept.Write(part[..(int)Math.Min(part.Length, LongestLine - kept.Length)]);
            length += part.Length;
            _at += part.Length + (end < 0 ? 0 : 1);
            if (end >= 0)
            {
                return Make(kept, length);
            }
        }
    }

    private Line Make(MemoryStream kept, long length)
    {
        var text = encoding.GetString(kept.GetBuffer(), 0, (int)kept.Length).TrimEnd('\r');
        return ++_line is var number && length > LongestLine
            ? new(number, text[..Shown], $"It has {length} bytes; a line may have {LongestLine}.")
            : new(number, text, text.AsSpan().IndexOfAnyInRange('\0', '\u0008') >= 0 ? "It has control characters, as binary data does." : null);
    }

    private readonly record struct Line(int Number, string Text, string? Problem);
}

/// <param name="Line">The number of its last line, from 1.</param>
/// <param name="Fields">Null when it cannot be split, for the reason that <paramref name="Problem"/> is.</param>
internal sealed record CsvRecord(int Line, string Text, IReadOnlyList<string>? Fields, string? Problem);
