using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.Contracts;

public sealed class MoneyTests
{
    [Theory]
    [InlineData("19.99", "EUR", 1999)]
    [InlineData("1999", "JPY", 1999)]
    [InlineData("1.234", "KWD", 1234)]
    [InlineData("-0.10", "EUR", -10)]
    public void An_amount_becomes_minor_units(string amount, string currency, long minorUnits) =>
        Assert.Equal(new Money(currency, minorUnits), Money.Of(decimal.Parse(amount, System.Globalization.CultureInfo.InvariantCulture), currency));

    [Theory]
    [InlineData("0.001", "EUR")]
    [InlineData("0.5", "JPY")]
    [InlineData("1", "eur")]
    [InlineData("1", "EURO")]
    [InlineData("1", "")]
    [InlineData("79228162514264337593543950335", "EUR")]
    [InlineData("-900000000000001", "KWD")]
    public void An_amount_that_would_be_rounded_or_has_no_currency_or_no_end_is_refused(string amount, string currency) =>
        Assert.Throws<ArgumentException>(() => Money.Of(decimal.Parse(amount, System.Globalization.CultureInfo.InvariantCulture), currency));

    [Fact]
    public void Berlin_is_505_kilometres_from_Munich() =>
        Assert.InRange(new Position(52.520008, 13.404954).KilometresTo(new(48.137154, 11.576124)), 503, 506);
}
