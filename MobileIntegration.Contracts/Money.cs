namespace MobileIntegration.Contracts;

/// <summary>An amount of money without rounding errors.</summary>
/// <param name="Currency">ISO 4217 code, such as <c>EUR</c>.</param>
/// <param name="MinorUnits">The amount in the currency's smallest unit: 1999 is 19.99 EUR or 1999 JPY.</param>
public sealed record Money(string Currency, long MinorUnits)
{
    /// <summary>Of any currency, so that its minor units are a long.</summary>
    private const decimal MostMajor = 900_000_000_000_000;

    /// <summary>Converts an amount in major units.</summary>
    /// <exception cref="ArgumentException">The code has not three capital letters, or the amount has more decimals than the currency, or is beyond 900 trillion.</exception>
    public static Money Of(decimal amount, string currency)
    {
        if (currency is not [>= 'A' and <= 'Z', >= 'A' and <= 'Z', >= 'A' and <= 'Z'])
        {
            throw new ArgumentException($"'{currency}' is no ISO 4217 code: three capital letters are.", nameof(currency));
        }
        if (Math.Abs(amount) > MostMajor)
        {
            throw new ArgumentException($"{amount} is more than {MostMajor}.", nameof(amount));
        }
        var minor = amount * Factor(currency);
        return minor == decimal.Truncate(minor)
            ? new(currency, decimal.ToInt64(minor))
            : throw new ArgumentException($"{amount} has more decimals than {currency} has.", nameof(amount));
    }

    /// <summary>The amount in major units.</summary>
    public decimal ToDecimal() => (decimal)MinorUnits / Factor(Currency);

    /// <summary>Minor units in one major unit, by ISO 4217's list one.</summary>
    private static int Factor(string currency) => currency switch
    {
        "BIF" or "CLP" or "DJF" or "GNF" or "ISK" or "JPY" or "KMF" or "KRW" or "PYG" or "RWF" or "UGX" or "UYI" or "VND" or "VUV"
            or "XAF" or "XOF" or "XPF" => 1,
        "BHD" or "IQD" or "JOD" or "KWD" or "LYD" or "OMR" or "TND" => 1_000,
        "CLF" or "UYW" => 10_000,
        _ => 100,
    };
}
