using System.Text.RegularExpressions;
using MobileIntegration.LocalHost.Dashboard;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.Tests.Dashboard;

/// <summary>What pages are made from.</summary>
public class PartsTests
{
    [Fact]
    public void Escape_sequences_colour_the_text_and_are_not_in_it()
    {
        var colours = new AnsiText();
        Assert.Equal(
            [new AnsiPart("info", "a2 g0", null), new AnsiPart(": <b> ", null, null), new AnsiPart("deep", "ab", "color:rgb(255,0,95);"), new AnsiPart("true", "ab", "color:rgb(255,0,95);background:rgb(1,2,3);"), new AnsiPart(" end", null, null)],
            colours.Read("\x1b[40m\x1b[32minfo\x1b[39m\x1b[49m: <b> \x1b[1;38;5;197mdeep\x1b[48;2;1;2;3mtrue\x1b[0m end\x1b[2K\x1b]0;title\x07"));
    }

    [Fact]
    public void A_colour_that_is_not_ended_goes_on_in_the_next_line()
    {
        var colours = new AnsiText();
        colours.Read("\x1b[31mfirst");
        Assert.Equal([new AnsiPart("second", "a1", null)], colours.Read("second"));
        Assert.Equal([new AnsiPart("third", null, null)], colours.Read("\x1b[mthird"));
    }

    [Theory]
    [InlineData("\x1b[38;5mx")]
    [InlineData("\x1b[38;2;1mx")]
    [InlineData("\x1b[999999999999mx")]
    [InlineData("\x1b[38;5;999;48;9mx")]
    public void A_broken_sequence_costs_nothing_but_its_colour(string line) =>
        Assert.Equal("x", string.Concat(new AnsiText().Read(line).Select(part => part.Text)));

    [Fact]
    public void A_filter_survives_the_address()
    {
        FilterText filter = new(new FieldFilter("url.path", FieldOperator.NotContains, "a~b c"), false);
        Assert.Equal([filter], FilterText.ParseAll([filter.ToString(), "nonsense", "a~what~b"]));
        Assert.Empty(FilterText.Active([filter.ToString()]));
    }

    [Fact]
    public void Values_with_passwords_are_secret_and_addresses_are_not()
    {
        Assert.True(ResourceFacts.IsSecret("ConnectionStrings__db", "Host=x;Password=abc"));
        Assert.True(ResourceFacts.IsSecret("Auth__ClientSecret", "x"));
        Assert.True(ResourceFacts.IsSecret("OTEL_EXPORTER_OTLP_HEADERS", "x-otlp-api-key=abc"));
        Assert.True(ResourceFacts.IsSecret("DB_URI", "postgresql://u:p@localhost:1/db"));
        Assert.False(ResourceFacts.IsSecret("services__home__http__0", "http://localhost:1234"));
    }

    [Fact]
    public void A_chart_has_round_levels_and_gaps_where_nothing_is_known()
    {
        var start = DateTimeOffset.UnixEpoch;
        ChartLine line = new("p50", "hue0", [1, null, 3, 7]);
        var picture = new ChartPicture([.. Enumerable.Range(0, 4).Select(i => start.AddSeconds(i))], [line], []);
        Assert.Equal([0, 2, 4, 6, 8], picture.Levels.Select(level => level.Value));
        var (path, alone) = picture.Paths(line);
        Assert.Equal((1, 1), (path.Count(letter => letter == 'M'), alone.Count(letter => letter == 'M')));
    }

    [Fact]
    public async Task Console_lines_of_the_same_moment_are_all_shown_in_the_order_that_they_were_written()
    {
        using var loggers = new ResourceLoggerService();
        using var feed = new ConsoleFeed(loggers);
        string[] written = [.. Enumerable.Range(0, 1_000).Select(number => number % 2 == 0 ? $"info: {number}" : $"      {number}")];
        foreach (var line in written[..600])
        {
            loggers.Append("shop", line, isError: false);
        }

        await feed.BeginAsync(["shop"], id => id == "shop");
        foreach (var line in written[600..])
        {
            loggers.Append("shop", line, isError: false);
        }

        feed.Take();
        Assert.Equal(written, feed.Lines.Select(line => line.Text));
    }

    /// <summary>WCAG 2.2, 1.4.3: 4.5 to 1.</summary>
    [Fact]
    public void Every_colour_of_the_console_can_be_read_on_every_ground_in_both_themes()
    {
        var assembly = typeof(AnsiText).Assembly;
        using var file = new StreamReader(assembly.GetManifestResourceStream(assembly.GetManifestResourceNames().Single(name => name.EndsWith("dashboard.css", StringComparison.Ordinal)))!);
        var css = file.ReadToEnd();
        var colours = Regex.Matches(css, @"\.a\d \{ color: light-dark\((#\w{6}), (#\w{6})\)");
        var grounds = Regex.Matches(css, @"\.g\d \{ background: light-dark\((#\w{6}), (#\w{6})\)");
        Assert.Equal((8, 7), (colours.Count, grounds.Count));
        foreach (var theme in new[] { 1, 2 })
        {
            Assert.All(
                colours.SelectMany(colour => grounds.Select(ground => (Colour: colour, Ground: ground))),
                pair => Assert.True(Contrast(pair.Colour.Groups[theme].Value, pair.Ground.Groups[theme].Value) >= 4.5, $"{pair.Colour.Value} on {pair.Ground.Value}"));
        }

        static double Contrast(string one, string other) => (Math.Max(Light(one), Light(other)) + 0.05) / (Math.Min(Light(one), Light(other)) + 0.05);

        static double Light(string colour) => new[] { (1, 0.2126), (3, 0.7152), (5, 0.0722) }.Sum(part =>
        {
            var share = Convert.ToByte(colour.Substring(part.Item1, 2), 16) / 255.0;
            return part.Item2 * (share <= 0.04045 ? share / 12.92 : Math.Pow((share + 0.055) / 1.055, 2.4));
        });
    }
}
