using Microsoft.AspNetCore.Builder;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.ServiceDefaults;

public sealed class OverloadTests
{
    [Fact]
    public async Task More_requests_than_a_service_can_answer_are_refused_at_once_and_health_still_answers()
    {
        var (entered, leave) = (new SemaphoreSlim(0), new TaskCompletionSource());
        var slow = new Slice("slow", _ => { }, endpoints => endpoints.MapGet("/slow", async () =>
        {
            entered.Release();
            await leave.Task;
            return "done";
        }), Public: true);
        var (app, http) = await TestServices.StartAsync(builder => builder.AddSlices(slow), app => app.MapSlices(), "--Limits:Concurrency=2");
        await using var _ = app;
        using var client = http;
        var taken = new[] { http.GetAsync("/slow"), http.GetAsync("/slow") };
        await entered.WaitAsync();
        await entered.WaitAsync();

        using var refused = await http.GetAsync("/slow");
        Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter!.Delta);
        var problem = await refused.ProblemAsync(503);
        Assert.Contains("Limits:Concurrency", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal("Healthy", await http.GetStringAsync("/health"));

        leave.SetResult();
        Assert.All(await Task.WhenAll(taken), answer => Assert.True(answer.IsSuccessStatusCode));
        Assert.Equal("done", await http.GetStringAsync("/slow"));
    }
}
