using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MobileIntegration.Tests.ServiceDefaults;

public sealed class OutgoingHttpTests : IAsyncLifetime
{
    private int _calls;
    private WebApplication _peer = null!;
    private HttpClient _http = null!;
    private IHost _host = null!;

    public async Task InitializeAsync()
    {
        (_peer, var direct) = await TestServices.StartAsync(_ => { }, app =>
        {
            app.MapMethods("/busy", ["GET", "POST"], (HttpContext context) =>
            {
                if (context.Request.Query["retryAfter"].FirstOrDefault() is { } seconds)
                {
                    context.Response.Headers.RetryAfter = seconds;
                }
                context.Response.StatusCode = Interlocked.Increment(ref _calls) < 3 ? 503 : 200;
            });
        });
        var builder = Host.CreateApplicationBuilder();
        builder.Configuration["services:peer:http:0"] = direct.BaseAddress!.ToString();
        builder.AddServiceDefaults();
        _host = builder.Build();
        _http = _host.Services.GetRequiredService<IHttpClientFactory>().CreateClient();
        _http.BaseAddress = new("http://peer");
    }

    public async Task DisposeAsync()
    {
        _host.Dispose();
        await _peer.DisposeAsync();
    }

    [Fact]
    public async Task A_read_is_tried_again_at_the_address_that_discovery_names()
    {
        Assert.Equal(HttpStatusCode.OK, (await _http.GetAsync("/busy")).StatusCode);
        Assert.Equal(3, _calls);
    }

    [Fact]
    public async Task A_write_is_not_tried_again()
    {
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await _http.PostAsync("/busy", null)).StatusCode);
        Assert.Equal(1, _calls);
    }

    [Fact]
    public async Task Who_says_when_to_come_back_is_not_asked_again_before()
    {
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await _http.GetAsync("/busy?retryAfter=30")).StatusCode);
        Assert.Equal(1, _calls);
    }
}
