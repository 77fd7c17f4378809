using System.Globalization;
using System.Text;
using Dapper;
using MobileServices.Push.Registrations;

namespace MobileServices.Push.Messages;

/// <summary>An expression that cannot be read.</summary>
/// <param name="position">Of the character where it goes wrong, from 1.</param>
internal sealed class AudienceException(int position, string message) : Exception(message)
{
    public int Position => position;
}

/// <summary>
/// Who gets a message: an expression such as <c>news &amp;&amp; !muted &amp;&amp; version >= 2.1.0</c>, made into a condition on registrations whose values are parameters.
/// Negations are carried down to the comparisons, so that what a registration lacks is never "unknown", and indexes stay usable.
/// </summary>
internal sealed class Audience
{
    private const int Longest = 4000;
    private const int Deepest = 50;
    private const int MostTerms = 500;
    private const string Fields = "user, customer, device, platform, network, locale, version, lastSeen, tag, topic";

    private readonly string _text;
    private readonly DateTimeOffset _now;
    private int _at;
    private int _depth;
    private int _terms;

    private Audience(string text, DateTimeOffset now)
    {
        _text = text;
        _now = now;
    }

    /// <summary>A condition on <c>push.registration r</c>.</summary>
    public string Sql { get; private set; } = "";

    public DynamicParameters Parameters { get; } = new();

    /// <summary>It asks for users, or for what an app says of them by tags, and not only for devices.</summary>
    public bool IsOfUsers { get; private set; }

    /// <param name="now">From which times such as <c>-30d</c> are counted.</param>
    /// <exception cref="AudienceException"/>
    public static Audience Parse(string text, DateTimeOffset now)
    {
        if (text.Length > Longest)
        {
            throw new AudienceException(Longest + 1, $"It is {text.Length} characters long. Send {Longest} at most.");
        }
        var audience = new Audience(text, now);
        audience.Sql = audience.Or(negated: false);
        audience.Blank();
        return audience._at == text.Length ? audience : throw audience.Wrong("An operator (&& or ||) or the end is expected here.");
    }

    private string Or(bool negated)
    {
        if (++_depth > Deepest)
        {
            throw Wrong($"Parentheses and negations are more than {Deepest} deep.");
        }
        var parts = new List<string> { And(negated) };
        while (Take("||"))
        {
            parts.Add(And(negated));
        }
        _depth--;
        return Join(parts, negated ? " and " : " or ");
    }

    private string And(bool negated)
    {
        var parts = new List<string> { Not(negated) };
        while (Take("&&"))
        {
            parts.Add(Not(negated));
        }
        return Join(parts, negated ? " or " : " and ");
    }

    private string Not(bool negated)
    {
        while (Peek("!") && !Peek("!="))
        {
            Take("!");
            negated = !negated;
        }
        if (!Take("("))
        {
            return Term(negated);
        }
        var inner = Or(negated);
        return Take(")") ? inner : throw Wrong("A closing parenthesis is expected here.");
    }

    private string Term(bool negated)
    {
        Blank();
        var start = _at;
        if (++_terms > MostTerms)
        {
            throw Wrong($"It has more than {MostTerms} conditions.");
        }
        var name = Word() ?? throw Wrong($"A tag, a field ({Fields}), 'all', '!' or '(' is expected here.");
        if (Operator() is { } comparison)
        {
            return Compare(name, start, comparison, negated);
        }
        if (Peek("in") && IsWordEnd(_at + 2))
        {
            _at += 2;
            return In(name, start, negated);
        }
        if (name is "all")
        {
            return negated ? "false" : "true";
        }
        return RegistrationRules.IsTag(name) ? Tag(name, negated) : throw Wrong("Tags are at most 100 letters, digits, '-', '_', '.' and ':'.", start);
    }

    private string In(string field, int start, bool negated)
    {
        if (!Take("("))
        {
            throw Wrong("An opening parenthesis is expected after 'in'.");
        }
        var parts = new List<string>();
        do
        {
            if (++_terms > MostTerms)
            {
                throw Wrong($"It has more than {MostTerms} conditions.");
            }
            parts.Add(Compare(field, start, "==", negated));
        }
        while (Take(","));
        return Take(")") ? Join(parts, negated ? " and " : " or ") : throw Wrong("A comma or a closing parenthesis is expected here.");
    }

    private string Compare(string field, int start, string comparison, bool negated)
    {
        IsOfUsers |= field is "user" or "customer";
        Blank();
        var at = _at;
        var value = Word() ?? throw Wrong("A value is expected here.");
        if (comparison is "!=")
        {
            (comparison, negated) = ("==", !negated);
        }
        if (comparison is not "==" && field is not ("version" or "lastSeen"))
        {
            throw Wrong($"'{field}' can be compared by == and != only.", start);
        }
        return field switch
        {
            "user" => Equal("r.user_id", value, negated),
            "customer" => Equal("r.customer_id", value, negated),
            "platform" => Equal("r.platform", value, negated),
            "network" => Equal("r.network", value, negated),
            // What an app subscribes its device to is a tag by another name.
            "tag" or "topic" => RegistrationRules.IsTag(value) ? Tag(value, negated) : throw Wrong("Tags are at most 100 letters, digits, '-', '_', '.' and ':'.", at),
            "device" => Guid.TryParseExact(value, "D", out var device) ? Equal("r.device_id", device, negated) : throw Wrong("A device is a UUID such as 3f2504e0-4f89-41d3-9a0c-0305e82c3301.", at),
            "locale" => Locale(value, negated),
            "version" => Ordered("r.version_order", VersionOrder.Of(value) ?? throw Wrong("A version such as 2.1.0 is expected here.", at), comparison, negated),
            "lastSeen" => Ordered("r.last_seen_at", Time(value) ?? throw Wrong("A time such as 2030-01-31 or 2030-01-31T08:00:00Z, or -30d, -12h, -5m for how long ago, is expected here.", at), comparison, negated),
            _ => throw Wrong($"There is no field '{field}'. Fields: {Fields}.", start),
        };
    }

    private string Tag(string tag, bool negated)
    {
        IsOfUsers = true;
        return $"{(negated ? "not " : "")}r.tags @> array[{Parameter(tag)}]";
    }

    private string Equal(string column, object value, bool negated) => negated ? $"{column} is distinct from {Parameter(value)}" : $"{column} = {Parameter(value)}";

    private string Locale(string value, bool negated)
    {
        var name = Parameter(value.ToLowerInvariant());
        return $"{(negated ? "not " : "")}(lower(r.locale) = {name} or starts_with(lower(r.locale), {name} || '-'))";
    }

    private string Ordered(string column, object value, string comparison, bool negated)
    {
        var sql = (comparison, negated) switch
        {
            ("==", false) => "=",
            ("==", true) => "<>",
            ("<", false) or (">=", true) => "<",
            ("<=", false) or (">", true) => "<=",
            (">", false) or ("<=", true) => ">",
            _ => ">=",
        };
        return $"{column} {sql} {Parameter(value)}";
    }

    private DateTime? Time(string value)
    {
        if (value.Length > 2 && value[0] is '-' && int.TryParse(value.AsSpan(1, value.Length - 2), NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= 100_000)
        {
            TimeSpan? ago = value[^1] switch
            {
                'd' => TimeSpan.FromDays(count),
                'h' => TimeSpan.FromHours(count),
                'm' => TimeSpan.FromMinutes(count),
                _ => null,
            };
            return ago is { } span ? (_now - span).UtcDateTime : null;
        }
        return DateTimeOffset.TryParseExact(
            value, ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time.UtcDateTime
            : null;
    }

    private string Parameter(object value)
    {
        var name = $"a{Parameters.ParameterNames.Count()}";
        Parameters.Add(name, value);
        return $"@{name}";
    }

    private string? Operator()
    {
        foreach (var one in new[] { "==", "!=", "<=", ">=", "<", ">" })
        {
            if (Take(one))
            {
                return one;
            }
        }
        return null;
    }

    /// <summary>Bare, or between quotation marks where a backslash takes the next character as it is.</summary>
    private string? Word()
    {
        Blank();
        if (_at == _text.Length)
        {
            return null;
        }
        if (_text[_at] is not '"')
        {
            var start = _at;
            while (!IsWordEnd(_at))
            {
                _at++;
            }
            return _at > start ? _text[start.._at] : null;
        }
        var open = _at++;
        var word = new StringBuilder();
        for (; _at < _text.Length; _at++)
        {
            if (_text[_at] is '"')
            {
                _at++;
                return word.ToString();
            }
            if (_text[_at] is '\\' && _at + 1 < _text.Length)
            {
                _at++;
            }
            if (_text[_at] is '\0')
            {
                break;
            }
            word.Append(_text[_at]);
        }
        throw Wrong("The quotation mark that opens here is not closed.", open);
    }

    private bool IsWordEnd(int at) => at >= _text.Length || !(char.IsAsciiLetterOrDigit(_text[at]) || _text[at] is '-' or '_' or '.' or ':' or '+' or '@' or '/');

    private void Blank()
    {
        while (_at < _text.Length && char.IsWhiteSpace(_text[_at]))
        {
            _at++;
        }
    }

    private bool Peek(string token)
    {
        Blank();
        return string.CompareOrdinal(_text, _at, token, 0, token.Length) is 0;
    }

    private bool Take(string token)
    {
        if (!Peek(token))
        {
            return false;
        }
        _at += token.Length;
        return true;
    }

    private static string Join(List<string> parts, string by) => parts.Count is 1 ? parts[0] : $"({string.Join(by, parts)})";

    private AudienceException Wrong(string message, int? at = null) => new((at ?? _at) + 1, message);
}
