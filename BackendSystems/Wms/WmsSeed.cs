using System.Globalization;
using BackendSystems.Faults;
using BackendSystems.Seeding;
using Bogus;
using Dapper;
using Npgsql;
using NpgsqlTypes;

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
        await using (var copy = await connection.BeginBinaryImportAsync(
            "copy wms.whs_t (whs_cd, whs_nm, adr, zip, city, ctry, lat, lon, opn_tm, cls_tm, act, chg_no) from stdin (format binary)", ct))
        {
            foreach (var store in Company.Stores)
            {
                await copy.WriteRowAsync(ct, store.Code, store.Name, store.Street, store.Postcode, store.City.Name, store.City.Country,
                    (decimal)store.City.Latitude, (decimal)store.City.Longitude, "0900", "2000", "Y", ++change);
            }

            await copy.CompleteAsync(ct);
        }

        await using (var copy = await connection.BeginBinaryImportAsync(
            "copy wms.art_bal_t (whs_cd, art_no, qty_oh, qty_rsv, qty_ord, loc_cd, st_cd, lst_mv_dt, chg_no) from stdin (format binary)", ct))
        {
            var random = new Randomizer(20260703);
            foreach (var store in Company.Stores)
            {
                for (var index = 0; index < Company.ProductCount; index++)
                {
                    var onHand = random.Bool(0.08f) ? 0 : random.Number(1, 40);
                    var moved = Company.Epoch.AddDays(-random.Number(0, 90));
                    copy.StartRow();
                    copy.Write(store.Code, NpgsqlDbType.Varchar);
                    copy.Write(Company.ArticleNo(index), NpgsqlDbType.Varchar);
                    copy.Write(onHand, NpgsqlDbType.Integer);
                    copy.Write(Math.Min(onHand, random.Bool(0.2f) ? random.Number(1, 3) : 0), NpgsqlDbType.Integer);
                    copy.Write(random.Bool(0.3f) ? random.Number(1, 5) * 10 : 0, NpgsqlDbType.Integer);
                    copy.Write(
                        string.Create(CultureInfo.InvariantCulture, $"{(char)('A' + random.Number(0, 7))}-{random.Number(1, 20):00}-{random.Number(1, 40):00}"),
                        NpgsqlDbType.Varchar);
                    copy.Write(random.Bool(0.01f) ? "B" : "A", NpgsqlDbType.Char);
                    copy.Write((moved.Year * 10_000) + (moved.Month * 100) + moved.Day, NpgsqlDbType.Integer);
                    copy.Write(++change, NpgsqlDbType.Bigint);
                }
            }

            await copy.CompleteAsync(ct);
        }

        await connection.ExecuteAsync(new CommandDefinition("select setval('wms.chg', @change)", new { change }, cancellationToken: ct));
    }
}
