using System.Text.Json;
using Npgsql;

namespace MobileServices.Sync;

/// <summary>An answer other than success, in the protocol's own shape: <c>{"error": ..., "reason": ...}</c>.</summary>
internal sealed class SyncException(int status, string error, string reason) : Exception(reason)
{
    public int Status => status;

    public string Error => error;

    public static SyncException NoDatabase() => new(404, "not_found", "Database does not exist.");

    public static SyncException Missing() => new(404, "not_found", "missing");

    public static SyncException Deleted() => new(404, "not_found", "deleted");

    public static SyncException Conflict() => new(409, "conflict", "Document update conflict.");

    public static SyncException Bad(string reason) => new(400, "bad_request", reason);

    public static SyncException Query(string reason) => new(400, "query_parse_error", reason);

    public static SyncException TooLarge(string reason) => new(413, "too_large", reason);

    public static SyncException Full(SyncOptions options) => TooLarge($"The database is full: it may hold {options.MostBytes} bytes. Delete some and compact it.");

    /// <summary>The word <c>forbidden</c> alone makes PouchDB end a replication that tries again, and say so.</summary>
    public static SyncException Resync(string since, string horizon) => new(410, "forbidden",
        $"resync_required: deletions after {since} are not kept any more (only those after {horizon} are), so this client may hold documents that were deleted. Push what it has changed, then destroy its database and replicate anew.");

    public async Task WriteAsync(HttpContext http)
    {
        http.Response.StatusCode = status;
        await http.Response.SendAsync(json =>
        {
            json.WriteStartObject();
            json.WriteString("error", error);
            json.WriteString("reason", Message);
            json.WriteEndObject();
        });
    }
}

/// <summary>Turns what went wrong into the protocol's answers; faults of the service stay problems, as anywhere else.</summary>
internal static class SyncAnswers
{
    public static readonly JsonWriterOptions Writing = new() { SkipValidation = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static async ValueTask<object?> FilterAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        http.Response.Headers.CacheControl = "private, must-revalidate, no-transform";
        http.Response.Headers.Vary = "Authorization";
        try
        {
            return await next(context);
        }
        catch (SyncException failure) when (!http.Response.HasStarted)
        {
            return new Failure(failure);
        }
        catch (PostgresException failure) when (failure.SqlState is PostgresErrorCodes.ForeignKeyViolation && !http.Response.HasStarted)
        {
            // It was deleted meanwhile.
            return new Failure(SyncException.NoDatabase());
        }
        catch (InvalidOperationException failure) when (failure.Source?.StartsWith("System.Text.Json", StringComparison.Ordinal) is true && !http.Response.HasStarted)
        {
            return new Failure(SyncException.Bad("invalid UTF-8 JSON: a text that is read here holds half of a surrogate pair"));
        }
        catch (BadHttpRequestException failure) when (!http.Response.HasStarted)
        {
            return new Failure(failure.StatusCode is 413 ? SyncException.TooLarge("The request entity is too large.") : new(failure.StatusCode, "bad_request", failure.Message));
        }
    }

    public static Task SendAsync(this HttpResponse response, Action<Utf8JsonWriter> write)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, Writing))
        {
            write(json);
        }
        buffer.GetSpan(1)[0] = (byte)'\n';
        buffer.Advance(1);
        response.ContentType = "application/json";
        response.ContentLength = buffer.WrittenCount;
        return response.Body.WriteAsync(buffer.WrittenMemory, response.HttpContext.RequestAborted).AsTask();
    }

    public static Task OkAsync(this HttpResponse response, int status = 200)
    {
        response.StatusCode = status;
        return response.SendAsync(static json =>
        {
            json.WriteStartObject();
            json.WriteBoolean("ok", true);
            json.WriteEndObject();
        });
    }

    private sealed class Failure(SyncException failure) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.Headers.ETag = default;
            return failure.WriteAsync(httpContext);
        }
    }
}
