using System.Globalization;
using BackendSystems.Faults;
using BackendSystems.Seeding;
using Bogus;
using Dapper;
using Npgsql;

namespace BackendSystems.Wms;

/// <summary>Fills an empty Wms before the host listens, and ends what faults a former process left on.</summary>
internal sealed class WmsSeed([FromKeyedServices(Databases.Wms)] NpgsqlDataSource database, WmsStore store, Seeder seeder) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await store.SetFaultsAsync(FaultSettings.Off, cancellationToken);
        await seeder.RunAsync(database, WmsSetup.Name, "wms.art_bal_t", WriteAsync, cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static async Task WriteAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        var change = 0L;
        await connection.CopyAsync(
            "wms.whs_t (whs_cd, whs_nm, adr, zip, city, ctry, lat, lon, opn_tm, cls_tm, act, chg_no)",
            Company.Stores.Select(store => (object?[])
            [
                store.Code, store.Name, store.Street, store.Postcode, store.City.Name, store.City.Country,
                (decimal)store.City.Latitude, (decimal)store.City.Longitude, "0900", "2000", "Y", ++change,
            ]),
            ct);
        await connection.CopyAsync(
            "wms.art_bal_t (whs_cd, art_no, qty_oh, qty_rsv, qty_ord, loc_cd, st_cd, lst_mv_dt, chg_no)",
            Balances().Select(balance => (object?[])[.. balance, ++change]),
            ct);
        await connection.ExecuteAsync(new CommandDefinition("select setval('wms.chg', @change)", new { change }, cancellationToken: ct));
    }

    private static IEnumerable<object?[]> Balances()
    {
        var random = new Randomizer(20260703);
        foreach (var store in Company.Stores)
        {
            for (var index = 0; index < Company.ProductCount; index++)
            {
                var onHand = random.Bool(0.08f) ? 0 : random.Number(1, 40);
                var moved = Company.Epoch.AddDays(-random.Number(0, 90));
                yield return
                [
                    store.Code,
                    Company.ArticleNo(index),
                    onHand,
                    Math.Min(onHand, random.Bool(0.2f) ? random.Number(1, 3) : 0),
                    random.Bool(0.3f) ? random.Number(1, 5) * 10 : 0,
                    string.Create(CultureInfo.InvariantCulture, $"{(char)('A' + random.Number(0, 7))}-{random.Number(1, 20):00}-{random.Number(1, 40):00}"),
                    random.Bool(0.01f) ? "B" : "A",
                    (moved.Year * 10_000) + (moved.Month * 100) + moved.Day,
                ];
            }
        }
    }
}
