using System.Net.Http.Json;
using System.Text;
using System.Text.RegularExpressions;
using IntegrationServices.Customers;
using Microsoft.AspNetCore.Builder;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>What the back office answers, altered on the way to the integration services.</summary>
public sealed class AlteredAnswers : IAsyncDisposable
{
    private WebApplication _way = null!;

    internal TestService<Crm> Service { get; private set; } = null!;

    /// <summary>Of an answer's bytes, each a character.</summary>
    internal Func<string, string> Alter { get; set; } = answer => answer;

    internal async Task StartAsync(BackOffice office)
    {
        if (Service is not null)
        {
            return;
        }
        _way = (await TestServices.StartAsync(_ => { }, app => app.Run(async http =>
        {
            using var request = new HttpRequestMessage(new(http.Request.Method), new Uri(office.Backends.Address, $"{http.Request.Path}{http.Request.QueryString}"));
            if (http.Request.ContentType is { } type)
            {
                request.Content = new StreamContent(http.Request.Body);
                request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
                request.Headers.TryAddWithoutValidation("SOAPAction", http.Request.Headers["SOAPAction"].ToString());
            }
            using var answer = await office.Backends.Http.SendAsync(request);
            http.Response.StatusCode = (int)answer.StatusCode;
            http.Response.ContentType = answer.Content.Headers.ContentType?.ToString();
            await http.Response.Body.WriteAsync(Encoding.Latin1.GetBytes(Alter(Encoding.Latin1.GetString(await answer.Content.ReadAsByteArrayAsync()))));
        }))).App;
        var address = TestServices.AddressOf(_way.Services);
        Service = new(
            ("ConnectionStrings:wmsdb", office.WmsDatabase), ("ConnectionStrings:integrationdb", await TestPostgres.CreateDatabaseAsync()), ("Run", "customers,products,orders"),
            ("Reads:FreshSeconds", "0"), ("Reads:StaleSeconds", "0"), TestServices.At("crm", address), TestServices.At("erp", address), TestServices.At("pim", address));
    }

    public async ValueTask DisposeAsync()
    {
        await Service.DisposeAsync();
        await _way.DisposeAsync();
    }
}

/// <summary>Answers that are no answers, each a 502 that says whose and what.</summary>
[Collection(nameof(BackOffice))]
public sealed class AlteredAnswerTests(BackOffice office, AlteredAnswers answers) : IClassFixture<AlteredAnswers>, IAsyncLifetime
{
    private const string Deep = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";

    public Task InitializeAsync() => answers.StartAsync(office);

    public Task DisposeAsync() => Task.CompletedTask;

    [Theory]
    [InlineData("/customers/C-000441", "crm", "\"tier\":\"\\w+\"", "\"tier\":\"7\"", "Loyalty.Tier is '7'")]
    [InlineData("/customers/C-000441", "crm", "\"tier\":\"\\w+\"", "\"tier\":\"gold,silver\"", "Loyalty.Tier is 'gold,silver'")]
    [InlineData("/customers/C-000441", "crm", "\"points\":\\d+", "\"points\":null", "Points is missing")]
    [InlineData("/customers/C-000441", "crm", "\"points\":\\d+", "\"points\":99999999999", "cannot be read")]
    [InlineData("/customers/C-000441", "crm", "\"addresses\":\\[", "\"addresses\":[null,", "Addresses has an empty entry")]
    [InlineData("/customers?ids=C-000441", "crm", "\"items\":\\[", "\"items\":[null,", "Items has an empty entry")]
    [InlineData("/customers/C-000441", "crm", "\"given\":\"[^\"]*\"", "\"given\":\"\u00ff\"", "cannot be read")]
    [InlineData("/customers/C-000441", "crm", "\"given\":\"[^\"]*\"", "\"given\":\"\\ud800\"", "cannot be read")]
    [InlineData("/customers/C-000441", "crm", "^.*$", "<html>Please wait</html>", "cannot be read")]
    [InlineData("/customers/C-000441", "crm", "^.*$", Deep, "cannot be read")]
    [InlineData("/customers/C-000441", "crm", "^.*$", "null", "cannot be read")]
    [InlineData("/customers/C-000441", "crm", "^.*$", "", "cannot be read")]
    [InlineData("/customers/C-000441", "crm", "\"latitude\":[0-9.]+", "\"latitude\":1e400", "is no place on earth")]
    [InlineData("/products/100441", "pim", "\"ListPrice\":[0-9.]+", "\"ListPrice\":79228162514264337593543950335", "ListPrice is no amount of money")]
    [InlineData("/products/100441", "pim", "\"ListPrice\":[0-9.]+", "\"ListPrice\":1e400", "cannot be read")]
    [InlineData("/products/100441", "pim", "\"Currency\":\"EUR\"", "\"Currency\":\"eu\"", "no ISO 4217 code")]
    [InlineData("/products/100441", "pim", "\"value\":\\[", "\"value\":[null,", "value has an empty entry")]
    [InlineData("/products/100441", "pim", "\"value\":", "\"values\":", "value is missing")]
    [InlineData("/orders/4500000012", "erp", "<Quantity>[^<]*<", "<Quantity>1.5<", "Quantity is 1.5")]
    [InlineData("/orders/4500000012", "erp", "<Quantity>[^<]*<", "<Quantity>99999999999<", "Quantity is 99999999999")]
    [InlineData("/orders/4500000012", "erp", "<Status>[^<]*<", "<Status>3<", "Status is '3'")]
    [InlineData("/orders/4500000012", "erp", "<UnitPrice>[^<]*<", "<UnitPrice>0.001<", "UnitPrice is no amount of money")]
    [InlineData("/orders/4500000012", "erp", "<GrossAmount>[^<]*<", "<GrossAmount>much<", "no SOAP message")]
    [InlineData("/orders/4500000012", "erp", "<Lines>.*</Lines>", "", "Lines is missing")]
    public async Task What_cannot_be_is_a_502_that_names_the_system_and_what_it_is(string path, string system, string what, string otherwise, string detail)
    {
        var altered = false;
        answers.Alter = answer =>
        {
            var other = Regex.Replace(answer, what, otherwise.Replace("$", "$$", StringComparison.Ordinal), RegexOptions.Singleline);
            altered |= other != answer;
            return other;
        };
        var problem = await (await answers.Service.Http.GetAsync(path)).ProblemAsync(502);
        Assert.True(altered, "Nothing was altered.");
        Assert.Equal(system, problem.GetProperty("system").GetString());
        Assert.Contains(detail, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_record_that_comes_twice_is_one()
    {
        answers.Alter = answer => Regex.Replace(answer, "\"items\":\\[(.*)\\]", "\"items\":[$1,$1]", RegexOptions.Singleline);
        var customers = await answers.Service.Http.GetFromJsonAsync<System.Text.Json.JsonElement>("/customers?ids=C-000441,C-000442");
        Assert.Equal(["C-000441", "C-000442"], customers.EnumerateArray().Select(customer => customer.GetProperty("id").GetString()));
    }
}
