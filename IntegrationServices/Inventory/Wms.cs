using IntegrationServices.Connectors;
using MobileIntegration.Contracts;

namespace IntegrationServices.Inventory;

/// <summary>The warehouse system, views in another team's database; how their columns become ours stands in the two methods Map.</summary>
internal sealed class Wms([FromKeyedServices(Wms.Name)] SqlConnector connector)
{
    public const string Name = "wms";

    public Task<List<Store>> GetStoresAsync(CancellationToken ct) =>
        connector.QueryAsync(StoresSql, null, async results => (await results.ReadAsync<WhsRow>()).Select(Map).ToList(), ct);

    /// <summary>Also in stores that are closed.</summary>
    public Task<List<StockLevel>> GetLevelsAsync(IReadOnlyCollection<string> productIds, CancellationToken ct) =>
        connector.QueryAsync(LevelsSql, new { articles = productIds.ToArray() }, async results => (await results.ReadAsync<ArtBalRow>()).Select(Map).ToList(), ct);

    private const string StoresSql =
        """
        select whs_cd, whs_nm, adr, zip, city, ctry, lat, lon
        from wms.whs
        where act = 'Y'
        order by whs_cd;

        """;

    private const string LevelsSql =
        """
        select whs_cd, art_no, qty_oh, qty_rsv, st_cd
        from wms.art_bal
        where art_no = any(@articles)
        order by art_no, whs_cd;

        """;

    private static Store Map(WhsRow row)
    {
        var record = new SourceRecord(Name, $"store {row.whs_cd}");
        return new(
            record.Required(row.whs_cd).Trim(),
            record.Required(row.whs_nm),
            record.Required(row.adr),
            record.Required(row.zip),
            record.Required(row.city),
            record.Required(row.ctry),
            record.Position((double)record.Required(row.lat), (double)record.Required(row.lon), "lat, lon"));
    }

    /// <summary>Blocked stock (<c>st_cd</c> B) is there but not for sale; a count below the reservations is none.</summary>
    private static StockLevel Map(ArtBalRow row)
    {
        var record = new SourceRecord(Name, $"stock of {row.art_no} in {row.whs_cd}");
        var free = record.Required(row.qty_oh) - record.Required(row.qty_rsv);
        return new(
            record.Required(row.art_no).Trim(),
            record.Required(row.whs_cd).Trim(),
            record.Required(row.st_cd) is "A" ? Math.Max(0, free) : 0);
    }

#pragma warning disable IDE1006 // the columns' own names
    private sealed record WhsRow(string? whs_cd, string? whs_nm, string? adr, string? zip, string? city, string? ctry, decimal? lat, decimal? lon);

    private sealed record ArtBalRow(string? whs_cd, string? art_no, int? qty_oh, int? qty_rsv, string? st_cd);
#pragma warning restore IDE1006
}
