using System.Buffers;
using System.Globalization;
using System.Text.Json;
using MobileIntegration.ServiceDefaults;

namespace FrontendServices.Sections;

/// <summary>200 with the sections, or 304 when the caller has them as they are.</summary>
internal sealed class ScreenResult(List<(string Name, SectionAnswer Answer)> sections, Dictionary<string, FieldTree>? fields) : IResult
{
    public async Task ExecuteAsync(HttpContext httpContext)
    {
        if (httpContext.IsNotModified(Tag(httpContext)))
        {
            return;
        }
        var body = new ArrayBufferWriter<byte>(256 + sections.Sum(section => 96 + (section.Answer.Section?.Json.Length ?? 0)));
        using (var writer = new Utf8JsonWriter(body, new JsonWriterOptions { SkipValidation = true }))
        {
            writer.WriteStartObject();
            foreach (var (name, answer) in sections)
            {
                writer.WritePropertyName(name);
                answer.Write(writer, fields?.GetValueOrDefault(name));
            }
            writer.WriteEndObject();
        }
        httpContext.Response.ContentType = "application/json; charset=utf-8";
        httpContext.Response.ContentLength = body.WrittenCount;
        if (!HttpMethods.IsHead(httpContext.Request.Method))
        {
            await httpContext.Response.Body.WriteAsync(body.WrittenMemory, httpContext.RequestAborted);
        }
    }

    /// <summary>Weak: the age of what is stale is not in it, so that a page that is old in the same way is not sent again.</summary>
    private string Tag(HttpContext http)
    {
        ulong sum = 14695981039346656037;
        foreach (var (_, answer) in sections)
        {
            sum = (sum ^ (ulong)answer.Status ^ (answer.Section?.Hash ?? 0) ^ ((ulong)(answer.Problem?.Status ?? 0) << 8)) * 1099511628211;
        }
        if (fields is not null)
        {
            foreach (var sign in http.Request.QueryString.Value!)
            {
                sum = (sum ^ sign) * 1099511628211;
            }
        }
        return string.Create(CultureInfo.InvariantCulture, $"W/\"{sum:x16}\"");
    }
}
