using System.IO.Compression;
using System.Text;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;
using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>OTLP over HTTP, protobuf and JSON: https://opentelemetry.io/docs/specs/otlp/#otlphttp</summary>
internal static class OtlpHttp
{
    private const string Protobuf = "application/x-protobuf";
    private const string Json = "application/json";
    private const int InvalidArgument = 3;
    private const int ResourceExhausted = 8;
    private const int Unauthenticated = 16;

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapPost("/v1/traces", (HttpContext context, TelemetryStore store, OtlpKey key) =>
            TakeAsync(context, key, ExportTraceServiceRequest.Parser, request => OtlpAnswers.Take(store, request)));
        app.MapPost("/v1/logs", (HttpContext context, TelemetryStore store, OtlpKey key) =>
            TakeAsync(context, key, ExportLogsServiceRequest.Parser, request => OtlpAnswers.Take(store, request)));
        app.MapPost("/v1/metrics", (HttpContext context, TelemetryStore store, OtlpKey key) =>
            TakeAsync(context, key, ExportMetricsServiceRequest.Parser, request => OtlpAnswers.Take(store, request)));
    }

    private static async Task TakeAsync<T>(HttpContext context, OtlpKey key, MessageParser<T> parser, Func<T, IMessage> take)
        where T : IMessage<T>, new()
    {
        var (request, ct) = (context.Request, context.RequestAborted);
        var type = MediaTypeHeaderValue.TryParse(request.ContentType, out var parsed) ? parsed.MediaType.Value?.ToLowerInvariant() : null;
        if (!key.Fits(request))
        {
            await RefuseAsync(context, type, 401, Unauthenticated, $"The header {TelemetrySetup.KeyHeader} is missing or wrong.");
            return;
        }

        var encoding = request.Headers.ContentEncoding.ToString();
        if (type is not (Protobuf or Json) || encoding is not ("" or "identity" or "gzip"))
        {
            await RefuseAsync(context, type, 415, InvalidArgument, $"Send {Protobuf} or {Json}, as it is or with gzip.");
            return;
        }

        IMessage answer;
        try
        {
            using var body = await ReadAsync(context, encoding == "gzip", ct);
            if (body is null)
            {
                await RefuseAsync(context, type, 413, ResourceExhausted, $"A message may have {TelemetrySetup.MaxBody} bytes, also after decompression.");
                return;
            }

            var bytes = new ReadOnlySpan<byte>(body.GetBuffer(), 0, (int)body.Length);
            answer = take(type == Json ? OtlpJson.Parse<T>(Encoding.UTF8.GetString(bytes)) : parser.WithDiscardUnknownFields(true).ParseFrom(bytes));
        }
        catch (Exception exception) when (exception is InvalidProtocolBufferException or InvalidJsonException or InvalidDataException)
        {
            await RefuseAsync(context, type, 400, InvalidArgument, $"The body is not what it says to be: {exception.Message}");
            return;
        }

        await AnswerAsync(context, type, 200, answer);
    }

    /// <summary>Null if it is too large.</summary>
    private static async Task<MemoryStream?> ReadAsync(HttpContext context, bool gzip, CancellationToken ct)
    {
        // The limit here counts what comes out of decompression too; the server's own would end the connection without an answer.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = null;
        }

        if (context.Request.ContentLength > TelemetrySetup.MaxBody)
        {
            return null;
        }

        await using var source = gzip ? new GZipStream(context.Request.Body, CompressionMode.Decompress) : context.Request.Body;
        var read = new MemoryStream();
        var buffer = new byte[16 * 1024];
        int count;
        while ((count = await source.ReadAsync(buffer, ct)) > 0)
        {
            if (read.Length + count > TelemetrySetup.MaxBody)
            {
                return null;
            }

            read.Write(buffer, 0, count);
        }

        return read;
    }

    private static Task RefuseAsync(HttpContext context, string? type, int status, int code, string message) =>
        AnswerAsync(context, type, status, new RpcStatus { Code = code, Message = message });

    private static async Task AnswerAsync(HttpContext context, string? type, int status, IMessage message)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = type == Protobuf ? Protobuf : Json;
        var body = type == Protobuf ? message.ToByteArray() : Encoding.UTF8.GetBytes(OtlpJson.Format(message));
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }
}
