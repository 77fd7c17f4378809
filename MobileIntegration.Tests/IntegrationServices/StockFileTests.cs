using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using IntegrationServices.Connectors;
using Microsoft.Extensions.Time.Testing;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>Files of stock movements in the drop folder.</summary>
[Collection(nameof(BackOffice))]
public sealed class StockFileTests(ChangesService changes) : IClassFixture<ChangesService>
{
    private const string Header = "MV_NO;MV_DT;MV_TM;WHS_CD;WHS_NM;ART_NO;MV_TP;QTY;UNIT;REF\r\n";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Each_line_is_told_once_however_often_the_file_comes()
    {
        var text = Header + Line(910_001, "910001") + Line(910_002, "910002", "Filiale \"am\nMarkt\"") + Line(910_003, "910001");
        await DropAsync("MVMT_A.csv", text);
        await DropAsync("MVMT_A.csv", text);
        await DropAsync("MVMT_B.csv", Header + Line(910_002, "910002") + Line(910_000, "910001"));

        Assert.Equal(
            [("StockChanged", "stock:W03/910001", 910_001L), ("StockChanged", "stock:W03/910001", 910_003L), ("StockChanged", "stock:W03/910002", 910_002L)],
            (await changes.EventsAsync("stock:W03/9100%")).Select(one => (one.Type, one.Subject, one.Version)).Order());
        Assert.Empty(await changes.SetAsideAsync("MVMT_A%"));
    }

    [Fact]
    public async Task Bad_lines_are_set_aside_with_their_reasons_and_the_others_are_told()
    {
        await DropAsync("MVMT_BAD.csv", Header
            + Line(920_001, "920001")
            + "920002;20260630;081500;W03;x;920002;GI;-2,500;PCE;half\r\n"
            + "920003;20260631;081500;W03;x;920002;GI;-2,000;PCE;no such day\r\n"
            + "920004;20260630;081500;W03;x;\"'; drop table x\";GI;-2,000;PCE;r\r\n"
            + "920005;20260630;081500;W03\r\n"
            + "920006;20260630;081500;W03;\"x;920002;GI;1,000;PCE;open quote\r\n"
            + "920007;20260630;081500;W03;" + new string('x', 10_000_000) + ";920002;GI;1,000;PCE;r\r\n"
            + "920008;20260630;081500;W03;\0\u0001;920002;GI;1,000;PCE;r\r\n"
            + "one;20260630;081500;W03;x;920002;ZZ;1,000;PCE;r\r\n"
            + Line(920_009, "920009")
            + "920010;20260630;08");

        Assert.Equal(["stock:W03/920001", "stock:W03/920009"], (await changes.EventsAsync("stock:W03/92000%")).Select(one => one.Subject).Order());
        const string Prefix = "MVMT_BAD.csv line ";
        var aside = (await changes.SetAsideAsync($"{Prefix}%")).ToDictionary(one => one.Reference[Prefix.Length..], one => one.Reason);
        (string Line, string Reason)[] expected =
        [
            ("3", "QTY"), ("4", "MV_DT"), ("5", "ART_NO"), ("6", "4 fields"), ("7", "quote"), ("8", "bytes"), ("9", "control"), ("10", "MV_NO is 'one'"), ("12", "3 fields"),
        ];
        Assert.Equal(expected.Select(one => one.Line).Order(), aside.Keys.Order());
        Assert.All(expected, one => Assert.Contains(one.Reason, aside[one.Line], StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("MVMT_UTF8.csv", "UTF-8", "utf-8")]
    [InlineData("MVMT_UTF16.csv", "UTF-16", "utf-16")]
    [InlineData("MVMT_COMMA.csv", "MV_NO, MV_DT", "comma")]
    [InlineData("MVMT_EMPTY.csv", "empty", "empty")]
    public async Task A_file_that_is_no_such_file_is_set_aside_whole_and_can_be_replayed(string name, string reason, string what)
    {
        var text = Header + Line(930_001, "930001", "Filiale München");
        var bytes = what switch
        {
            "comma" => Encoding.Latin1.GetBytes(text.Replace(';', ',')),
            "empty" => [],
            _ => [.. Encoding.GetEncoding(what).GetPreamble(), .. Encoding.GetEncoding(what).GetBytes(text)],
        };
        File.WriteAllBytes(Path.Combine(changes.Folder, $".{name}.tmp"), bytes);
        File.Move(Path.Combine(changes.Folder, $".{name}.tmp"), Path.Combine(changes.Folder, name));
        await Eventually.TrueAsync(() => changes.AnyAsync("changes.set_aside", $"reference = '{name}' and status = 'open'"), Patience);
        var failed = Path.Combine(changes.Folder, ".failed", name);
        await Eventually.TrueAsync(() => File.Exists(failed), Patience);
        Assert.Contains(reason, Assert.Single(await changes.SetAsideAsync(name)).Reason, StringComparison.Ordinal);
        Assert.Empty(await changes.EventsAsync("stock:W03/93%"));

        // Mended where it lies.
        await File.WriteAllTextAsync(failed, Header, Encoding.Latin1);
        var items = (await changes.Service.Http.GetFromJsonAsync<JsonElement>("/changes/set-aside?system=wms&limit=100")).GetProperty("items").EnumerateArray();
        var id = items.Single(item => item.GetProperty("reference").GetString() == name).GetProperty("id").GetGuid();
        (await changes.Service.Http.PostAsync($"/changes/set-aside/{id}/replay", null)).EnsureSuccessStatusCode();
        await Eventually.TrueAsync(() => File.Exists(Path.Combine(changes.Folder, ".done", name)), Patience);
    }

    [Fact]
    public void A_file_is_claimed_by_one_and_not_before_it_has_stopped_growing()
    {
        var path = Directory.CreateTempSubdirectory("drop-").FullName;
        try
        {
            var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
            var folders = Enumerable.Range(0, 2).Select(_ => new DropFolder(path, TimeSpan.FromSeconds(2), time)).ToList();
            folders.ForEach(folder => folder.Make());
            var file = Path.Combine(path, "A.csv");
            Write("half");
            File.WriteAllText(Path.Combine(path, ".B.csv.tmp"), "hidden");
            File.WriteAllText(Path.Combine(path, "C.txt"), "other");
            Assert.Empty(folders[0].Claim());
            Assert.Empty(folders[0].Claim());
            time.Advance(TimeSpan.FromSeconds(3));
            Write("half and more");
            Assert.Empty(folders[0].Claim());
            time.Advance(TimeSpan.FromSeconds(3));
            Assert.Equal(["A.csv"], folders[0].Claim());
            Assert.Equal(["A.csv"], folders[1].Claim());
            Assert.False(File.Exists(file));

            // Another of the same name waits until the first is done.
            Write("again");
            time.Advance(TimeSpan.FromSeconds(3));
            folders[1].Claim();
            folders[1].Claim();
            Assert.True(File.Exists(file));
            folders[0].Finish("A.csv");
            Assert.Equal(["A.csv"], folders[1].Claim());

            void Write(string text)
            {
                File.AppendAllText(file, text);
                File.SetLastWriteTimeUtc(file, time.GetUtcNow().UtcDateTime);
            }
        }
        finally
        {
            Directory.Delete(path, recursive: true);
        }
    }

    private static string Line(long number, string article, string store = "Filiale München") =>
        $"{number};20260630;081500;W03;{(store.Contains('"', StringComparison.Ordinal) ? $"\"{store.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : store)};{article};GI;-2,000;PCE;POS 4711\r\n";

    /// <summary>Drops a file and waits until it is done.</summary>
    private async Task DropAsync(string name, string text)
    {
        var done = Path.Combine(changes.Folder, ".done", name);
        File.Delete(done);
        await File.WriteAllTextAsync(Path.Combine(changes.Folder, name), text, Encoding.Latin1);
        await Eventually.TrueAsync(() => File.Exists(done), Patience);
    }
}
