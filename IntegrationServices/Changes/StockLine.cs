using System.Globalization;
using IntegrationServices.Connectors;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;

namespace IntegrationServices.Changes;

/// <summary>A line of the Wms's file of stock movements. It tells how much moved, and not how much there is now.</summary>
internal static class StockLine
{
    private static readonly string[] Needed = ["MV_NO", "MV_DT", "MV_TM", "WHS_CD", "ART_NO", "MV_TP", "QTY"];
    private static readonly string[] Types = ["GR", "GI", "AD", "RS", "RL"];
    private static readonly NumberFormatInfo DecimalComma = new() { NumberDecimalSeparator = "," };

    /// <returns>The columns by name, or what is wrong with the header.</returns>
    public static (IReadOnlyDictionary<string, int>? Columns, string? Problem) Header(IReadOnlyList<string> fields)
    {
        var columns = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var at = 0; at < fields.Count; at++)
        {
            if (!columns.TryAdd(fields[at].Trim(), at))
            {
                return (null, $"The header names the column {fields[at]} twice.");
            }
        }
        var missing = Needed.Where(name => !columns.ContainsKey(name)).ToList();
        return missing.Count is 0 ? (columns, null) : (null, $"The header has no column {string.Join(", ", missing)}. It must be the first line, in ISO-8859-1, with semicolons.");
    }

    /// <param name="content">The header and the line.</param>
    /// <exception cref="ChangeException">It cannot be understood.</exception>
    public static NewEvent Read(string content)
    {
        var end = content.IndexOf('\n', StringComparison.Ordinal);
        var header = CsvText.Split(end < 0 ? content : content[..end].TrimEnd('\r'), ';') ?? throw new ChangeException("The header has a quote that does not end.");
        var (columns, problem) = Header(header);
        var fields = CsvText.Split(content[(end + 1)..], ';') ?? throw new ChangeException("It has a quote that does not end, or text behind one.");
        return Read(columns ?? throw new ChangeException(problem!), fields);
    }

    /// <exception cref="ChangeException">It cannot be understood.</exception>
    public static NewEvent Read(IReadOnlyDictionary<string, int> columns, IReadOnlyList<string> fields)
    {
        if (fields.Count != columns.Count)
        {
            throw new ChangeException($"It has {fields.Count} fields, and the header names {columns.Count}.");
        }
        var number = Field("MV_NO", text => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value > 0 ? value : (long?)null, "is no number of a movement");
        var date = Field("MV_DT", text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : (int?)null, "is no date yyyymmdd");
        var at = Field("MV_TM", text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? Time(date, value) : null, "is, with MV_DT, no time hhmmss");
        Field("MV_TP", text => Types.Contains(text) ? true : (bool?)null, "is none of GR, GI, AD, RS, RL");
        Field(
            "QTY",
            text => decimal.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, DecimalComma, out var value) && value == decimal.Truncate(value) ? value : (decimal?)null,
            "is no whole number with a decimal comma");
        var (store, product) = (fields[columns["WHS_CD"]], fields[columns["ART_NO"]]);
        if (!Ids.IsStore(store) || !Ids.IsProduct(product))
        {
            throw new ChangeException($"WHS_CD is '{Short(store)}' and ART_NO '{Short(product)}': a store is W07, an article 100042.");
        }
        return NewEvent.Of(StockChanged.SubjectOf(product, store), number, at, new StockChanged(product, store, null, null));

        T Field<T>(string name, Func<string, T?> read, string otherwise) where T : struct
        {
            var text = fields[columns[name]];
            return read(text) ?? throw new ChangeException($"{name} is '{Short(text)}', which {otherwise}.");
        }
    }

    /// <returns>Null when there is no such time.</returns>
    public static DateTimeOffset? Time(int yyyymmdd, int hhmmss) =>
        DateTime.TryParseExact(
            string.Create(CultureInfo.InvariantCulture, $"{yyyymmdd:00000000}{hhmmss:000000}"), "yyyyMMddHHmmss", CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            ? new DateTimeOffset(time)
            : null;

    private static string Short(string text) => text.Length > 40 ? text[..40] + "..." : text;
}
