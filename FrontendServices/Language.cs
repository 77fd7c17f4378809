using System.Globalization;
using MobileIntegration.Contracts;

namespace FrontendServices;

/// <summary>In which language a screen is: German or English, as <c>Accept-Language</c> (RFC 9110) prefers; English for anything else.</summary>
internal sealed class Language
{
    private static readonly Language English = new("en", "en-GB", new()
    {
        [OrderStatus.Open] = "Order received",
        [OrderStatus.Picked] = "Being packed",
        [OrderStatus.Shipped] = "On its way",
        [OrderStatus.Delivered] = "Delivered",
        [OrderStatus.Cancelled] = "Cancelled",
    });

    private static readonly Language German = new("de", "de-DE", new()
    {
        [OrderStatus.Open] = "Bestellung eingegangen",
        [OrderStatus.Picked] = "Wird gepackt",
        [OrderStatus.Shipped] = "Unterwegs",
        [OrderStatus.Delivered] = "Zugestellt",
        [OrderStatus.Cancelled] = "Storniert",
    });

    private static readonly Dictionary<string, string> Symbols = new(StringComparer.Ordinal) { ["EUR"] = "€", ["GBP"] = "£", ["USD"] = "$", ["JPY"] = "¥" };

    private readonly CultureInfo _culture;
    private readonly Dictionary<OrderStatus, string> _statuses;

    private Language(string tag, string culture, Dictionary<OrderStatus, string> statuses)
    {
        Tag = tag;
        _culture = CultureInfo.GetCultureInfo(culture);
        _statuses = statuses;
    }

    /// <summary>BCP 47.</summary>
    public string Tag { get; }

    /// <summary>That of the request; the answer says it as <c>Content-Language</c>.</summary>
    public static Language Of(HttpContext http)
    {
        var chosen = English;
        double best = 0;
        foreach (var accepted in http.Request.GetTypedHeaders().AcceptLanguage)
        {
            var quality = accepted.Quality ?? 1;
            var language = accepted.Value.AsSpan() is ['d' or 'D', 'e' or 'E'] or ['d' or 'D', 'e' or 'E', '-', ..] ? German
                : accepted.Value.AsSpan() is ['e' or 'E', 'n' or 'N'] or ['e' or 'E', 'n' or 'N', '-', ..] ? English
                : null;
            if (language is not null && quality > best)
            {
                (chosen, best) = (language, quality);
            }
        }
        http.Response.Headers.ContentLanguage = chosen.Tag;
        return chosen;
    }

    public string Text(OrderStatus status) => _statuses[status];

    /// <summary>A name in this language where there is one.</summary>
    public string Name(string name, IReadOnlyDictionary<string, string>? localNames) => localNames?.GetValueOrDefault(Tag) ?? name;

    /// <summary>For people: <c>19,99 €</c>. Programs take the minor units.</summary>
    public Amount Amount(Money money)
    {
        var format = (NumberFormatInfo)_culture.NumberFormat.Clone();
        var major = money.ToDecimal();
        format.CurrencySymbol = Symbols.GetValueOrDefault(money.Currency) ?? money.Currency;
        format.CurrencyDecimalDigits = money.MinorUnits is 0 || major == money.MinorUnits ? 0 : decimal.ToInt32(Math.Round((decimal)Math.Log10((double)(money.MinorUnits / major))));
        return new(money.Currency, money.MinorUnits, major.ToString("C", format));
    }
}

/// <summary><see cref="Money"/> and how it is written in the language of the answer.</summary>
internal sealed record Amount(string Currency, long MinorUnits, string Text);
