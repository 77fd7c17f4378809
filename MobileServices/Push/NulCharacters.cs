using System.Text.Json;
using Microsoft.AspNetCore.Http.Metadata;
using MobileServices.Push.Messages;
using MobileServices.Push.Registrations;

namespace MobileServices.Push;

/// <summary>PostgreSQL has no texts with the character NUL: a request that has one is refused, whatever it asks for.</summary>
internal static class NulCharacters
{
    public static RouteGroupBuilder RefuseNuls(this RouteGroupBuilder group) => group.AddEndpointFilter(async (context, next) =>
    {
        var http = context.HttpContext;
        var errors = new Dictionary<string, string[]>();
        foreach (var (name, value) in http.Request.RouteValues)
        {
            Check(value as string, name, errors);
        }
        foreach (var (name, values) in http.Request.Query)
        {
            Check(name + values, name, errors);
        }
        var body = http.GetEndpoint()?.Metadata.GetMetadata<IAcceptsMetadata>()?.RequestType;
        if (body is not null && context.Arguments.FirstOrDefault(body.IsInstanceOfType) is { } sent)
        {
            Check(JsonSerializer.SerializeToElement(sent, body, PushContent.Json), "", errors);
        }
        return errors.Count > 0 ? RegistrationEndpoints.Wrong(errors) : await next(context);
    });

    private static void Check(JsonElement value, string path, Dictionary<string, string[]> errors)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                Check(value.GetString(), path, errors);
                break;
            case JsonValueKind.Array:
                foreach (var one in value.EnumerateArray())
                {
                    Check(one, path, errors);
                }
                break;
            case JsonValueKind.Object:
                foreach (var member in value.EnumerateObject())
                {
                    Check(member.Name, path, errors);
                    Check(member.Value, path is "" ? member.Name : $"{path}.{member.Name}", errors);
                }
                break;
        }
    }

    private static void Check(string? text, string path, Dictionary<string, string[]> errors)
    {
        if (text?.Contains('\0', StringComparison.Ordinal) is true)
        {
            errors[path.Replace("\0", "", StringComparison.Ordinal)] = ["Has the character NUL (U+0000). Leave it out."];
        }
    }
}
