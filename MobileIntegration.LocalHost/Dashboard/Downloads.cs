using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>What pages offer as files, behind the same login.</summary>
internal static class Downloads
{
    public static void MapDownloads(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("/download").RequireAuthorization();
        group.MapGet("/consolelogs/{resource?}", ConsoleLogs);
        group.MapGet("/telemetry", Telemetry);
    }

    /// <param name="run">A past run or an import; this run if null.</param>
    /// <param name="resource">A service name; all if null.</param>
    private static IResult Telemetry(string? run, string? resource, TelemetryStore live, TelemetryRuns runs, ImportedTelemetry imported, CancellationToken ct)
    {
        try
        {
            var store = string.IsNullOrEmpty(run) ? live : imported.Find(run)?.Store ?? runs.Open(run);
            return Results.Stream(
                stream => TelemetryExport.WriteAsync(store, stream, string.IsNullOrEmpty(resource) ? null : resource, ct),
                "application/zip", $"telemetry-{(string.IsNullOrEmpty(run) ? runs.CurrentId : run)}.zip");
        }
        catch (TelemetryException exception)
        {
            return Results.Problem(exception.Message, statusCode: StatusCodes.Status404NotFound);
        }
    }

    private static IResult ConsoleLogs(string? resource, ResourceBoard board, ResourceLoggerService loggers)
    {
        if (resource is not null && board.Find(resource) is null)
        {
            return Results.Problem($"There is no resource '{resource}'.", statusCode: StatusCodes.Status404NotFound);
        }

        List<string> ids = resource is null ? [.. board.Tree().Select(row => row.Item.ResourceId)] : [resource];
        return Results.Stream(
            async stream =>
            {
                await using var writer = new StreamWriter(stream, new UTF8Encoding(false), leaveOpen: true);
                foreach (var (id, line) in await ConsoleFeed.KeptAsync(loggers, ids))
                {
                    var text = SecretMask.Clean(line.Content);
                    await writer.WriteLineAsync(ids.Count == 1 ? text : $"{id} {text}");
                }
            },
            "text/plain; charset=utf-8", $"{resource ?? "console"}-{DateTime.UtcNow:yyyyMMdd-HHmmss}.log");
    }
}
