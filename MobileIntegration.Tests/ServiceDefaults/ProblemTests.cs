using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace MobileIntegration.Tests.ServiceDefaults;

public sealed class ProblemTests : IAsyncLifetime
{
    private WebApplication _app = null!;
    private HttpClient _http = null!;

    public async Task InitializeAsync() => (_app, _http) = await TestServices.StartAsync(_ => { }, app =>
    {
        app.MapPost("/pets", (Pet pet) => pet);
        app.MapGet("/pets/{id:int}", (int id, bool loud) => id);
        app.MapGet("/broken", string () => throw new InvalidOperationException("the secret of the house"));
        app.MapGet("/gone", () => Results.StatusCode(410));
        app.MapGet("/slow", async (HttpContext context, CancellationToken ct) =>
        {
            var never = new TaskCompletionSource();
            await never.Task.WaitAsync(ct);
        });
    }, "--Limits:RequestSeconds=1", "--Limits:BodyBytes=2048");

    public async Task DisposeAsync()
    {
        _http.Dispose();
        await _app.DisposeAsync();
    }

    [Fact]
    public async Task An_unknown_path_is_a_problem_whatever_the_client_accepts()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/nothing");
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/html"));
        await (await _http.SendAsync(request)).ProblemAsync(404);
    }

    [Fact]
    public async Task A_wrong_method_is_told_the_right_ones()
    {
        var problem = await (await _http.DeleteAsync("/pets")).ProblemAsync(405);
        Assert.Contains("POST", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_that_is_no_json_is_told_where_it_breaks()
    {
        var response = await _http.PostAsync("/pets", new StringContent("""{"name": """, Encoding.UTF8, "application/json"));
        var problem = await response.ProblemAsync(400);
        Assert.Contains("BytePositionInLine", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_value_of_the_wrong_type_is_told_its_path()
    {
        var problem = await (await _http.PostAsJsonAsync("/pets", new { name = "Rex", age = "old" })).ProblemAsync(400);
        Assert.Contains("$.age", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_parameter_is_named()
    {
        var problem = await (await _http.GetAsync("/pets/1")).ProblemAsync(400);
        Assert.Contains("loud", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_of_another_media_type_is_refused()
    {
        await (await _http.PostAsync("/pets", new StringContent("name=Rex", Encoding.UTF8, "text/plain"))).ProblemAsync(415);
    }

    [Fact]
    public async Task A_charset_that_does_not_exist_is_refused()
    {
        var content = new StringContent("""{"name":"Rex","age":1}""");
        content.Headers.ContentType = MediaTypeHeaderValue.Parse("application/json; charset=klingon");
        var problem = await (await _http.PostAsync("/pets", content)).ProblemAsync(415);
        Assert.Contains("UTF-8", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"name":"Rex","name":"Tom","age":1}""")]
    [InlineData("""{"name":"\ud800","age":1}""")]
    public async Task A_body_that_can_be_read_in_two_ways_or_none_is_refused(string body) =>
        await (await _http.PostAsync("/pets", new StringContent(body, Encoding.UTF8, "application/json"))).ProblemAsync(400);

    [Fact]
    public async Task A_body_over_the_limit_is_refused()
    {
        await (await _http.PostAsJsonAsync("/pets", new { name = new string('x', 4096), age = 1 })).ProblemAsync(413);
    }

    [Fact]
    public async Task An_unexpected_failure_tells_nothing_of_itself()
    {
        var response = await _http.GetAsync("/broken");
        Assert.DoesNotContain("secret", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await response.ProblemAsync(500);
    }

    [Theory]
    [InlineData("select pg_terminate_backend(pg_backend_pid())", 503)]
    [InlineData("do $$ begin raise 'no room' using errcode = 'disk_full'; end $$", 503)]
    [InlineData("select nonsense", 500)]
    public async Task A_database_that_is_ended_or_full_is_a_503_and_a_wrong_statement_a_fault(string sql, int status)
    {
        var connectionString = await TestPostgres.CreateDatabaseAsync();
        var (app, http) = await TestServices.StartAsync(
            builder => builder.Services.AddNpgsqlDataSource(connectionString),
            app => app.MapGet("/row", async (NpgsqlDataSource database, CancellationToken ct) =>
            {
                await using var command = database.CreateCommand(sql);
                await command.ExecuteNonQueryAsync(ct);
            }));
        await using var _ = app;

        var response = await http.GetAsync("/row");

        await response.ProblemAsync(status);
        Assert.Equal(status == 503, response.Headers.RetryAfter is not null);
    }

    [Fact]
    public async Task A_database_that_cannot_be_reached_is_a_503_whatever_wraps_the_failure()
    {
        var (app, http) = await TestServices.StartAsync(
            builder => builder.Services.AddNpgsqlDataSource($"Host=127.0.0.1;Port={TestServices.FreePort()};Username=nobody"),
            app => app.MapGet("/row", async (NpgsqlDataSource database, CancellationToken ct) =>
            {
                try
                {
                    await using var connection = await database.OpenConnectionAsync(ct);
                }
                catch (NpgsqlException failure)
                {
                    throw new InvalidOperationException("Something that wraps failures has failed.", failure);
                }
            }));
        await using var _ = app;
        await (await http.GetAsync("/row")).ProblemAsync(503);
    }

    [Fact]
    public async Task In_development_an_unexpected_failure_tells_all()
    {
        var (app, http) = await TestServices.StartAsync(
            _ => { }, app => app.MapGet("/broken", string () => throw new InvalidOperationException("the secret of the house")), "--environment=Development");
        await using var _ = app;
        var problem = await (await http.GetAsync("/broken")).ProblemAsync(500);
        Assert.Equal("the secret of the house", problem.GetProperty("detail").GetString());
        Assert.Contains(nameof(ProblemTests), problem.GetProperty("exception").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_that_takes_too_long_is_answered_with_504() => await (await _http.GetAsync("/slow")).ProblemAsync(504);

    [Fact]
    public async Task An_unusual_status_is_a_problem_too() => Assert.Equal("Gone", (await (await _http.GetAsync("/gone")).ProblemAsync(410)).GetProperty("title").GetString());

    [Fact]
    public async Task A_problem_names_the_trace_that_the_caller_began()
    {
        using var trace = new Activity("test").Start();
        var problem = await (await _http.GetAsync("/nothing")).ProblemAsync(404);
        Assert.Equal(trace.TraceId.ToString(), problem.GetProperty("traceId").GetString());
    }

    private sealed record Pet(string Name, int Age);
}
