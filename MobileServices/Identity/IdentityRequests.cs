using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace MobileServices.Identity;

/// <summary>
/// What is done to every request before anything else reads it: it is answered for the public address whatever it names, and what no client
/// sends (too much, or what PostgreSQL cannot store) is refused.
/// </summary>
internal sealed class IdentityRequests(IOptions<IdentityOptions> options) : IStartupFilter
{
    /// <summary>A token request with every parameter at a generous length fits in.</summary>
    private const int LargestBody = 64 * 1024;

    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        var issuer = new Uri(options.Value.Issuer!);
        var host = new HostString(issuer.Authority);
        app.Use(async (context, then) =>
        {
            if (!context.Request.Path.StartsWithSegments(IdentityOptions.Path, StringComparison.OrdinalIgnoreCase))
            {
                await then(context);
                return;
            }
            context.Request.Scheme = issuer.Scheme;
            context.Request.Host = host;
            if (await FaultAsync(context) is not (var status, var detail))
            {
                await then(context);
                return;
            }
            context.Response.StatusCode = status;
            await context.RequestServices.GetRequiredService<IProblemDetailsService>().WriteAsync(
                new() { HttpContext = context, ProblemDetails = new ProblemDetails { Status = status, Detail = detail } });
        });
        next(app);
    };

    private static async Task<(int Status, string Detail)?> FaultAsync(HttpContext context)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = LargestBody;
        }
        try
        {
            var request = context.Request;
            var form = request.HasFormContentType ? await request.ReadFormAsync(context.RequestAborted) : null;
            return request.Query.Concat(form ?? Enumerable.Empty<KeyValuePair<string, Microsoft.Extensions.Primitives.StringValues>>())
                .Any(field => HasNul(field.Key) || field.Value.Any(HasNul))
                ? (StatusCodes.Status400BadRequest, "A field contains the character U+0000. Leave it out.")
                : null;
        }
        catch (BadHttpRequestException exception)
        {
            return (exception.StatusCode, exception.StatusCode is StatusCodes.Status413PayloadTooLarge
                ? $"The body is larger than {LargestBody} bytes."
                : exception.Message);
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException)
        {
            return (StatusCodes.Status400BadRequest, $"The form cannot be read: {exception.Message}");
        }
    }

    private static bool HasNul(string? text) => text?.Contains('\0', StringComparison.Ordinal) is true;
}
