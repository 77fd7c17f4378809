using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MobileIntegration.Tests;

/// <summary>
/// One of the executables, started in this process by its own Program.cs, on a real Kestrel at a free port. It takes the tokens of
/// <see cref="TestAuthority.Shared"/> unless a setting names another authority, and <see cref="Http"/> sends one.
/// </summary>
/// <typeparam name="TMarker">Any type of the executable.</typeparam>
internal sealed class TestService<TMarker> : WebApplicationFactory<TMarker> where TMarker : class
{
    private readonly (string Key, string Value)[] _settings;

    public TestService(params (string Key, string Value)[] settings) : this(0, settings)
    {
    }

    /// <param name="port">Where it listens, for a service that has to know its own address.</param>
    public TestService(int port, params (string Key, string Value)[] settings)
    {
        var secured = !settings.Contains(("Run", "identity"));
        _settings = secured ? [TestServices.Authority, .. settings] : settings;
        UseKestrel(port);
        StartServer();
        Address = TestServices.AddressOf(Services);
        Http = new HttpClient { BaseAddress = Address };
        if (secured)
        {
            Http.Authorize(TestAuthority.AllScopes);
        }
    }

    /// <summary>Such as <c>http://127.0.0.1:41234</c>.</summary>
    public Uri Address { get; }

    public HttpClient Http { get; }

    protected override IHost CreateHost(IHostBuilder builder)
    {
        builder.UseEnvironment("Production");
        foreach (var (key, value) in _settings)
        {
            builder.ConfigureHostConfiguration(configuration => configuration.Sources.Add(
                new Microsoft.Extensions.Configuration.Memory.MemoryConfigurationSource { InitialData = [new(key, value)] }));
        }
        return base.CreateHost(builder);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Http.Dispose();
        }
        base.Dispose(disposing);
    }
}

internal static class TestServices
{
    /// <summary>A service made for one test out of the defaults that all have.</summary>
    public static async Task<(WebApplication App, HttpClient Http)> StartAsync(
        Action<WebApplicationBuilder> add, Action<WebApplication> map, params string[] args)
    {
        var builder = WebApplication.CreateBuilder(["--environment=Production", "--urls=http://127.0.0.1:0", .. args]);
        builder.AddServiceDefaults();
        add(builder);
        var app = builder.Build();
        app.MapDefaultEndpoints();
        map(app);
        await app.StartAsync();
        return (app, new HttpClient { BaseAddress = AddressOf(app.Services) });
    }

    public static (string Key, string Value) Authority => ("Authentication:Authority", TestAuthority.Shared.Address);

    /// <summary>From now on the client sends this access token.</summary>
    public static void Authorize(this HttpClient http, string token) => http.DefaultRequestHeaders.Authorization = new("Bearer", token);

    /// <summary>One request with this access token, whatever the client sends otherwise; with none for null.</summary>
    public static async Task<HttpResponseMessage> GetAsync(this HttpClient http, string path, string? token)
    {
        using var client = new HttpClient { BaseAddress = http.BaseAddress };
        if (http.DefaultRequestHeaders.TryGetValues("Prefer", out var preference))
        {
            client.DefaultRequestHeaders.Add("Prefer", preference);
        }
        if (token is not null)
        {
            client.Authorize(token);
        }
        return await client.GetAsync(path);
    }

    public static Uri AddressOf(IServiceProvider services) =>
        new(services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>The setting that tells a service where another is.</summary>
    public static (string Key, string Value) At(string name, Uri address) => ($"services:{name}:http:0", address.ToString().TrimEnd('/'));

    /// <summary>Asserts that the answer is a problem of that status, and reads it.</summary>
    public static async Task<JsonElement> ProblemAsync(this HttpResponseMessage response, int status)
    {
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(status, problem.GetProperty("status").GetInt32());
        Assert.NotEqual("", problem.GetProperty("title").GetString());
        Assert.NotEqual("", problem.GetProperty("detail").GetString());
        Assert.NotEqual("", problem.GetProperty("traceId").GetString());
        return problem;
    }

    /// <summary>Runs an executable as a process of its own until it ends, at most a minute.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunToEndAsync(string assembly, params (string Key, string Value)[] environment)
    {
        using var process = StartProcess(assembly, environment);
        return await process.EndAsync();
    }

    /// <summary>Starts an executable as a process of its own, at a free port unless <paramref name="environment"/> says otherwise.</summary>
    public static Process StartProcess(string assembly, params (string Key, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, $"{assembly}.dll")])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        start.Environment["ASPNETCORE_URLS"] = "http://127.0.0.1:0";
        if (!environment.Contains(("Run", "identity")))
        {
            start.Environment["Authentication__Authority"] = TestAuthority.Shared.Address;
        }
        foreach (var (key, value) in environment)
        {
            start.Environment[key] = value;
        }
        return Process.Start(start)!;
    }

    /// <summary>Waits for the end of a process, at most a minute, then kills it.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> EndAsync(this Process process)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var error = await process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return (process.ExitCode, await output, error);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }
}
