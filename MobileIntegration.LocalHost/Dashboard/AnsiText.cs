using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace MobileIntegration.LocalHost.Dashboard;

/// <param name="Look">CSS classes for the 8 theme colours and the weights.</param>
/// <param name="Style">CSS for colours beyond these; made from numbers only.</param>
internal sealed record AnsiPart(string Text, string? Look, string? Style);

/// <summary>Reads a line with the escape sequences that terminals colour text by (ECMA-48 SGR: 16, 256 and true colours); other sequences are left out.</summary>
internal sealed partial class AnsiText
{
    private static readonly int[] Levels = [0, 95, 135, 175, 215, 255];
    private readonly bool[] _on = new bool[10];
    private string? _text;
    private string? _ground;

    /// <summary>The parts of the next line; a colour that is not ended goes on in the line after it.</summary>
    public IReadOnlyList<AnsiPart> Read(string line)
    {
        if (!line.Contains('\x1b', StringComparison.Ordinal) && _text is null && _ground is null && !_on.Contains(true))
        {
            return [new(line, null, null)];
        }

        List<AnsiPart> parts = [];
        var from = 0;
        foreach (var sequence in Sequences().EnumerateMatches(line))
        {
            Add(parts, line[from..sequence.Index]);
            from = sequence.Index + sequence.Length;
            if (line[from - 1] == 'm' && line[sequence.Index + 1] == '[')
            {
                Apply(line[(sequence.Index + 2)..(from - 1)]);
            }
        }

        Add(parts, line[from..]);
        return parts;
    }

    private void Add(List<AnsiPart> parts, string text)
    {
        if (text.Length == 0)
        {
            return;
        }

        var (colour, ground) = _on[7] ? (_ground ?? "var(--card)", _text ?? "var(--ink)") : (_text, _ground);
        var look = new StringBuilder();
        Mark(1, "ab");
        Mark(2, "ad");
        Mark(3, "ai");
        Mark(4, "au");
        Mark(9, "as");
        if (colour?.Length == 2)
        {
            Look(colour);
        }

        if (ground?.Length == 2)
        {
            Look($"g{ground[1]}");
        }

        var style = $"{(colour?.Length > 2 ? $"color:{colour};" : "")}{(ground?.Length > 2 ? $"background:{ground};" : "")}";
        parts.Add(new(text, look.Length == 0 ? null : look.ToString(), style.Length == 0 ? null : style));

        void Mark(int code, string name)
        {
            if (_on[code])
            {
                Look(name);
            }
        }

        void Look(string name) => look.Append(look.Length > 0 ? " " : "").Append(name);
    }

    private void Apply(string codes)
    {
        var numbers = codes.Split(';', ':').Select(code => int.TryParse(code, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0).ToList();
        for (var i = 0; i < numbers.Count; i++)
        {
            switch (numbers[i])
            {
                case 0:
                    Array.Clear(_on);
                    (_text, _ground) = (null, null);
                    break;
                case > 0 and < 10 and var on: _on[on] = true; break;
                case 22: _on[1] = _on[2] = false; break;
                case > 22 and < 30 and var off: _on[off - 20] = false; break;
                case >= 30 and <= 37 and var colour: _text = $"a{colour - 30}"; break;
                case >= 90 and <= 97 and var colour: _text = $"a{colour - 90}"; break;
                case 38: _text = Colour(numbers, ref i); break;
                case 39: _text = null; break;
                case >= 40 and <= 47 and var colour: _ground = $"a{colour - 40}"; break;
                case >= 100 and <= 107 and var colour: _ground = $"a{colour - 100}"; break;
                case 48: _ground = Colour(numbers, ref i); break;
                case 49: _ground = null; break;
            }
        }
    }

    /// <summary>After 38 or 48: <c>5;n</c> is one of 256, <c>2;r;g;b</c> any.</summary>
    private static string? Colour(List<int> numbers, ref int i)
    {
        int Number(int at) => at < numbers.Count ? Math.Clamp(numbers[at], 0, 255) : 0;
        switch (Number(i + 1))
        {
            case 5:
                var number = Number(i += 2);
                if (number < 8)
                {
                    return $"a{number}";
                }

                if (number < 16)
                {
                    return $"a{number - 8}";
                }

                var grey = 8 + ((number - 232) * 10);
                return number >= 232 ? $"rgb({grey},{grey},{grey})" : $"rgb({Levels[(number - 16) / 36]},{Levels[(number - 16) / 6 % 6]},{Levels[(number - 16) % 6]})";
            case 2:
                i += 4;
                return $"rgb({Number(i - 2)},{Number(i - 1)},{Number(i)})";
            default:
                return null;
        }
    }

    [GeneratedRegex(@"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])", RegexOptions.CultureInvariant)]
    private static partial Regex Sequences();
}
