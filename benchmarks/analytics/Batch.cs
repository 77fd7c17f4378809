using System.Globalization;
using System.Text;

/// <summary>A hundred messages as a mobile SDK sends them; each has a number of its own in its messageId, so that no two are the same.</summary>
internal sealed class Batch
{
    public const int Events = 100;
    private const int Digits = 12;
    private static readonly string Mark = new('0', Digits);

    private readonly List<int> _places = [];

    public Batch(int sender)
    {
        var now = DateTimeOffset.UtcNow;
        var text = new StringBuilder("""{"batch":[""");
        for (var number = 0; number < Events; number++)
        {
            var at = now.AddSeconds(-number).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
            text.Append(number is 0 ? "" : ",").Append(CultureInfo.InvariantCulture,
                $$$$"""{"type":"track","messageId":"m-{{{{Mark}}}}","anonymousId":"3f2504e0-4f89-41d3-9a0c-{{{{sender:d4}}}}{{{{number / 10:d8}}}}","event":"{{{{(number % 5) switch { 0 => "Product Viewed", 1 => "Product Added", 2 => "Basket Viewed", 3 => "Search", _ => "Product Liked" }}}}}","timestamp":"{{{{at}}}}","properties":{"sku":"P-{{{{number:d6}}}}","price":19.9,"list":"home"},"context":{"app":{"version":"2.1.0","build":"210"},"os":{"name":"Android","version":"16"},"device":{"model":"Pixel 9","manufacturer":"Google"},"locale":"de-AT","network":{"wifi":true},"library":{"name":"analytics-kotlin","version":"1.19.0"}}}""");
        }
        text.Append("""],"sentAt":"SENT_AT_SENT_AT_SENT_AT_"}""").Replace("SENT_AT_SENT_AT_SENT_AT_", now.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
        var whole = text.ToString();
        for (var place = whole.IndexOf($"m-{Mark}", StringComparison.Ordinal); place >= 0; place = whole.IndexOf($"m-{Mark}", place + 1, StringComparison.Ordinal))
        {
            _places.Add(place + 2);
        }
        Body = Encoding.ASCII.GetBytes(whole);
    }

    public byte[] Body { get; }

    /// <summary>Gives the messages the numbers from <paramref name="first"/> on.</summary>
    public void Renew(long first)
    {
        foreach (var place in _places)
        {
            var rest = first++;
            for (var digit = Digits - 1; digit >= 0; digit--)
            {
                Body[place + digit] = (byte)('0' + (rest % 10));
                rest /= 10;
            }
        }
    }
}
