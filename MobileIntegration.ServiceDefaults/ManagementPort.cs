using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// Keeps the health routes of a public service off its public addresses: with <c>Management:Port</c> set, the process also listens on
/// http://localhost:{port}, health answers there only, and everything else does not answer there.
/// </summary>
internal static class ManagementPort
{
    public static void AddManagementPort(this IHostApplicationBuilder builder)
    {
        if (Read(builder.Configuration) is not { } port)
        {
            return;
        }
        var url = $"http://localhost:{port}";
        if (builder.Configuration.GetSection("Kestrel:Endpoints").GetChildren().Any())
        {
            builder.Configuration["Kestrel:Endpoints:management:Url"] = url;
            return;
        }
        var urls = builder.Configuration["urls"];
        if (string.IsNullOrWhiteSpace(urls))
        {
            urls = string.Join(';', PortUrls(builder.Configuration, "http").Concat(PortUrls(builder.Configuration, "https")));
        }
        if (urls.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).FirstOrDefault(own => own.TrimEnd('/').EndsWith($":{port}", StringComparison.Ordinal)) is { } taken)
        {
            throw new StartException($"Management:Port is {port}, the port of {taken}, where nothing but health would answer then. Choose another one.");
        }
        builder.Configuration["urls"] = urls is "" ? $"http://localhost:5000;{url}" : $"{urls};{url}";
    }

    public static void UseManagementPort(this WebApplication app)
    {
        if (Read(app.Configuration) is not { } port)
        {
            return;
        }
        // The connection's port, never the Host header, which the client writes.
        app.Use((context, next) =>
        {
            var management = context.GetEndpoint()?.Metadata.GetMetadata<ManagementEndpoint>() is not null;
            if (management != (context.Connection.LocalPort == port))
            {
                context.SetEndpoint(null);
            }
            return next(context);
        });
    }

    private static int? Read(IConfiguration configuration) => configuration["Management:Port"] switch
    {
        null or "" => null,
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536 => port,
        var text => throw new StartException($"Management:Port is '{text}'. Set it to a free port from 1 to 65535, or leave it out."),
    };

    private static IEnumerable<string> PortUrls(IConfiguration configuration, string scheme) =>
        (configuration[$"{scheme}_ports"] ?? "").Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(port => $"{scheme}://*:{port}");
}

/// <summary>Marks an endpoint that belongs on the management port.</summary>
internal sealed class ManagementEndpoint
{
    public static readonly ManagementEndpoint Instance = new();
}
