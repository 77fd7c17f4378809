using System.Diagnostics.Metrics;
using System.Text;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Changes;

/// <summary>Where the backend systems report changes. It is public to them alone: the gateway does not route it, and their signature is the key.</summary>
internal static class WebhookEndpoint
{
    private const int LargestBody = 64 * 1024;

    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/webhooks/{system}", TakeAsync)
        .AllowAnonymous()
        .ExcludeFromDescription()
        .WithMetadata(new RequestSizeLimitAttribute(LargestBody));

    private static async Task<Results<NoContent, ProblemHttpResult>> TakeAsync(
        string system, HttpContext http, ChangeStore store, ChangeMetrics metrics, IOptions<ChangesOptions> options, TimeProvider time, CancellationToken ct)
    {
        if (!BackendChange.Types.ContainsKey(system) || await store.FindSecretAsync(system, ct) is not { } secret)
        {
            return TypedResults.Problem("No webhooks were ordered from this system.", statusCode: StatusCodes.Status404NotFound);
        }
        using var buffer = new MemoryStream();
        await http.Request.Body.CopyToAsync(buffer, ct);
        var body = buffer.GetBuffer().AsMemory(0, (int)buffer.Length);
        if (WebhookSignature.Refuse(http.Request.Headers, body.Span, secret, time.GetUtcNow(), TimeSpan.FromSeconds(options.Value.ToleranceSeconds)) is { } reason)
        {
            metrics.Count(system, "webhook", "refused");
            return TypedResults.Problem(reason, statusCode: StatusCodes.Status401Unauthorized);
        }
        var id = http.Request.Headers["webhook-id"].ToString();
        // What is signed is kept, whatever it is.
        var text = Utf8.IsValid(body.Span) ? Encoding.UTF8.GetString(body.Span) : Encoding.Latin1.GetString(body.Span);
        metrics.Count(system, "webhook", await store.TakeWebhookAsync(system, id, text, ct));
        return TypedResults.NoContent();
    }
}

/// <summary>Counter <c>mobile.changes</c>: reported changes by system, source and outcome.</summary>
internal sealed class ChangeMetrics(IMeterFactory meters)
{
    private readonly Counter<long> _changes = meters.Create("mobile.changes").CreateCounter<long>(
        "mobile.changes", "{change}", "Changes that backend systems reported, by system, source and outcome");

    public void Count(string system, string source, Outcome outcome)
    {
        Count(system, source, "told", outcome.Told);
        Count(system, source, "known", outcome.Known);
        Count(system, source, "set-aside", outcome.SetAside);
    }

    public void Count(string system, string source, string outcome, long changes = 1)
    {
        if (changes > 0)
        {
            _changes.Add(changes, new("system", system), new("source", source), new("outcome", outcome));
        }
    }
}
