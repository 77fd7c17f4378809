using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace MobileIntegration.Tests.BackendSystems;

[Collection(BackOfficeTests.Name)]
public sealed class CrmTests(BackOffice office)
{
    [Fact]
    public async Task Following_next_links_reads_every_customer_once()
    {
        var ids = new List<string>();
        var next = "/crm/v1/customers?pageSize=200";
        while (next is not null)
        {
            using var response = await office.Http.GetAsync(next);
            Assert.Equal("5000", response.Headers.GetValues("X-Total-Count").Single());
            var page = await response.Content.ReadFromJsonAsync<JsonElement>();
            ids.AddRange(page.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("id").GetString()!));
            next = response.Headers.GetValues("Link").Single().Split(", ")
                .SingleOrDefault(link => link.EndsWith("rel=\"next\"", StringComparison.Ordinal))?.Split('<', '>')[1];
        }

        Assert.Equal(Enumerable.Range(1, 5_000).Select(number => $"C-{number:000000}"), ids);
    }

    [Fact]
    public async Task A_search_finds_by_name_and_takes_wildcards_literally()
    {
        var customer = await office.GetAsync("/crm/v1/customers/C-000042");
        var email = customer.GetProperty("email").GetString()!;
        var found = await office.GetAsync($"/crm/v1/customers?q={Uri.EscapeDataString(email.ToUpperInvariant())}");
        Assert.Equal("C-000042", found.GetProperty("items").EnumerateArray().Single().GetProperty("id").GetString());

        var wild = await office.GetAsync("/crm/v1/customers?q=%25%25");
        Assert.Equal(0, wild.GetProperty("total").GetInt32());
        var injected = await office.GetAsync($"/crm/v1/customers?q={Uri.EscapeDataString("'; drop table crm.customers; --")}");
        Assert.Equal(0, injected.GetProperty("total").GetInt32());
    }

    [Fact]
    public async Task Up_to_a_hundred_customers_come_in_one_call()
    {
        var found = await office.GetAsync("/crm/v1/customers?ids=C-000007,C-000003,C-999999");
        Assert.Equal(["C-000003", "C-000007"], found.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("id").GetString()));
    }

    [Fact]
    public async Task A_known_etag_is_answered_with_304()
    {
        using var first = await office.Http.GetAsync("/crm/v1/customers/C-000050");
        using var again = new HttpRequestMessage(HttpMethod.Get, "/crm/v1/customers/C-000050");
        again.Headers.IfNoneMatch.Add(first.Headers.ETag!);
        using var second = await office.Http.SendAsync(again);
        Assert.Equal(HttpStatusCode.NotModified, second.StatusCode);
        Assert.Equal(first.Headers.ETag, second.Headers.ETag);
    }

    [Fact]
    public async Task A_write_needs_the_current_etag()
    {
        const string Path = "/crm/v1/customers/C-000051";
        using var blind = await PatchAsync(Path, null, """{"phone":null}""");
        await BackOffice.ProblemAsync(blind, 428, "If-Match");

        using var changed = await PatchAsync(Path, "\"1\"", """{"phone":"+4930123456","name":{"given":"Ada"}}""");
        Assert.Equal(HttpStatusCode.OK, changed.StatusCode);
        Assert.Equal("\"2\"", changed.Headers.ETag!.Tag);
        var customer = await changed.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal("Ada", customer.GetProperty("name").GetProperty("given").GetString());
        Assert.NotEqual("", customer.GetProperty("name").GetProperty("family").GetString());

        using var late = await PatchAsync(Path, "\"1\"", """{"phone":null}""");
        await BackOffice.ProblemAsync(late, 412, "rev 2");
        using var weak = await PatchAsync(Path, "W/\"2\"", """{"phone":null}""");
        Assert.Equal(HttpStatusCode.PreconditionFailed, weak.StatusCode);
    }

    [Fact]
    public async Task Of_many_writers_with_one_etag_one_wins()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(async writer =>
        {
            using var response = await PatchAsync("/crm/v1/customers/C-000052", "\"1\"", $$"""{"phone":"+49301234{{writer:000}}"}""");
            return response.StatusCode;
        }));
        Assert.Equal(1, answers.Count(status => status == HttpStatusCode.OK));
        Assert.Equal(9, answers.Count(status => status == HttpStatusCode.PreconditionFailed));
    }

    [Fact]
    public async Task Putting_back_what_was_read_changes_nothing()
    {
        var customer = await office.GetAsync("/crm/v1/customers/C-000053");
        using var request = new HttpRequestMessage(HttpMethod.Put, "/crm/v1/customers/C-000053") { Content = JsonContent.Create(customer) };
        request.Headers.IfMatch.Add(new("\"1\""));
        using var response = await office.Http.SendAsync(request);
        Assert.Equal("\"1\"", response.Headers.ETag!.Tag);
        Assert.Equal(customer.ToString(), (await response.Content.ReadFromJsonAsync<JsonElement>()).ToString());
    }

    [Theory]
    [InlineData("""{"id":"C-000001"}""", "id cannot be changed")]
    [InlineData("""{"phone":5}""", "wrong type")]
    [InlineData("""{"email":"nobody"}""", "e-mail")]
    [InlineData("""{"addresses":[]}""", "addresses")]
    [InlineData("""{"preferences":{"favouriteStore":"W99"}}""", "W01 to W12")]
    [InlineData("""{"name":{"given":"\ud800"}}""", "surrogate")]
    public async Task A_wrong_field_is_named(string patch, string says)
    {
        using var response = await PatchAsync("/crm/v1/customers/C-000054", "*", patch);
        await BackOffice.ProblemAsync(response, 422, says);
        Assert.Equal(1, (await office.GetAsync("/crm/v1/customers/C-000054")).GetProperty("rev").GetInt32());
    }

    [Theory]
    [InlineData("/crm/v1/customers?pageSize=1000", 400, "pageSize")]
    [InlineData("/crm/v1/customers?page=0", 400, "page")]
    [InlineData("/crm/v1/customers?page=x", 400, "page")]
    [InlineData("/crm/v1/customers?q=a", 400, "q must")]
    [InlineData("/crm/v1/customers?ids=C-1", 400, "ids")]
    [InlineData("/crm/v1/customers/C-009999", 404, "C-009999")]
    [InlineData("/crm/v1/customers/'%20or%201=1", 404, "C-000123")]
    public async Task Bad_input_is_a_problem_that_says_the_mend(string path, int status, string says)
    {
        using var response = await office.Http.GetAsync(path);
        await BackOffice.ProblemAsync(response, status, says);
    }

    [Fact]
    public async Task A_body_that_is_no_patch_is_refused()
    {
        using var list = await PatchAsync("/crm/v1/customers/C-000055", "*", "[1]");
        await BackOffice.ProblemAsync(list, 400, "");
        using var twice = await PatchAsync("/crm/v1/customers/C-000055", "*", """{"email":"a@example.com","email":"b@example.com"}""");
        await BackOffice.ProblemAsync(twice, 400, "email");
        using var half = await PatchAsync("/crm/v1/customers/C-000055", "*", """{"\ud800":1}""");
        await BackOffice.ProblemAsync(half, 400, "");
        using var large = await PatchAsync("/crm/v1/customers/C-000055", "*", $$"""{"email":"{{new string('x', 70_000)}}"}""");
        await BackOffice.ProblemAsync(large, 413, "");
    }

    private async Task<HttpResponseMessage> PatchAsync(string path, string? ifMatch, string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Patch, path)
        {
            Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/merge-patch+json")),
        };
        if (ifMatch is not null)
        {
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        }

        return await office.Http.SendAsync(request);
    }
}
