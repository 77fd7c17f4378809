using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;

namespace MobileIntegration.ServiceDefaults;

/// <summary>Configuration section <c>DeviceProofs</c>.</summary>
public sealed class DeviceProofOptions
{
    /// <summary>Seconds by which a device's clock may be off; 5 to 3600, 300 unless set. A proof is remembered for twice that.</summary>
    [Range(5, 3600, ErrorMessage = "DeviceProofs:ClockSeconds must be from 5 to 3600.")]
    public int ClockSeconds { get; set; } = 300;
}

/// <summary>
/// Proofs that a request comes from the device whose key signed it: the header <c>DPoP</c> of RFC 9449, a JWT of type <c>dpop+jwt</c> by a P-256 key
/// (<c>ES256</c>) that its header carries as <c>jwk</c>, with <c>htm</c>, <c>htu</c>, <c>iat</c>, <c>jti</c> and, where the request has an access
/// token, <c>ath</c>.
/// </summary>
public static class DeviceProofExtensions
{
    public static void AddDeviceProofs(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddOptions<DeviceProofOptions>().BindConfiguration("DeviceProofs").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.TryAddSingleton<DeviceProofReplays>();
    }

    /// <summary>A request with a proof is answered with 401 unless it is right and new; one without goes on, and has no <see cref="DeviceKey"/>.</summary>
    public static RouteGroupBuilder CheckDeviceProofs(this RouteGroupBuilder endpoints) => endpoints.AddEndpointFilter(async (context, next) =>
    {
        var http = context.HttpContext;
        if (http.Request.Headers[DeviceProof.Header] is not { Count: > 0 } proofs)
        {
            return await next(context);
        }
        var window = TimeSpan.FromSeconds(http.RequestServices.GetRequiredService<IOptions<DeviceProofOptions>>().Value.ClockSeconds);
        var now = http.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow();
        string? refusal;
        if (proofs is not [{ Length: > 0 } proof])
        {
            refusal = "is there more than once, or empty";
        }
        else if (DeviceProof.Read(proof, http.Request, now, window, out refusal) is { } read)
        {
            if (await http.RequestServices.GetRequiredService<DeviceProofReplays>().IsFirstAsync($"{read.Key}:{read.Id}", 2 * window))
            {
                http.Features.Set(read);
                return await next(context);
            }
            refusal = "has been used before: each request needs its own";
        }
        return http.ProofProblem("invalid_dpop_proof", $"The proof (header DPoP, RFC 9449) {refusal}.");
    });

    /// <summary>The thumbprint (RFC 7638) of the key by which the request was signed; null for one without a proof.</summary>
    public static string? DeviceKey(this HttpContext http)
    {
        ArgumentNullException.ThrowIfNull(http);
        return http.Features.Get<DeviceProof>()?.Key;
    }

    /// <summary>401, and what was wrong with the proof or that there is none.</summary>
    public static IResult ProofProblem(this HttpContext http, string error, string detail)
    {
        ArgumentNullException.ThrowIfNull(http);
        http.Response.Headers.WWWAuthenticate = $"DPoP algs=\"ES256\", error=\"{error}\"";
        return TypedResults.Problem(detail, statusCode: StatusCodes.Status401Unauthorized);
    }
}

/// <param name="Key">The thumbprint of the key that signed it.</param>
/// <param name="Id">Its <c>jti</c>.</param>
internal sealed record DeviceProof(string Key, string Id)
{
    public const string Header = "DPoP";
    private const int LongestProof = 4096;
    private const int LongestId = 128;
    private const string Bearer = "Bearer ";

    /// <param name="refusal">Completes a sentence that starts with "The proof"; null if it is right.</param>
    public static DeviceProof? Read(string proof, HttpRequest request, DateTimeOffset now, TimeSpan window, out string? refusal)
    {
        try
        {
            if (proof.Length > LongestProof || proof.Split('.') is not [var head, var body, var signature])
            {
                refusal = "is not a JWT of at most 4096 characters";
                return null;
            }
            using var header = JsonDocument.Parse(Base64UrlEncoder.DecodeBytes(head));
            using var claims = JsonDocument.Parse(Base64UrlEncoder.DecodeBytes(body));
            if (Text(header, "typ") != "dpop+jwt" || Text(header, "alg") != "ES256" || !header.RootElement.TryGetProperty("jwk", out var jwk))
            {
                refusal = "must have the header {\"typ\": \"dpop+jwt\", \"alg\": \"ES256\", \"jwk\": {..}}";
                return null;
            }
            if (Thumbprint(jwk, out var point) is not { } key)
            {
                refusal = "must carry a public P-256 key: {\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": .., \"y\": ..}, and no private one";
                return null;
            }
            using var signer = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = point });
            if (!signer.VerifyData(Encoding.ASCII.GetBytes($"{head}.{body}"), Base64UrlEncoder.DecodeBytes(signature), HashAlgorithmName.SHA256))
            {
                refusal = "is not signed by the key that it carries";
                return null;
            }
            refusal = WhatIsWrong(claims, request, now, window);
            return refusal is null ? new(key, Text(claims, "jti")!) : null;
        }
        catch (Exception exception) when (exception is FormatException or JsonException or InvalidOperationException or CryptographicException or ArgumentException)
        {
            refusal = "cannot be read";
            return null;
        }
    }

    private static string? WhatIsWrong(JsonDocument claims, HttpRequest request, DateTimeOffset now, TimeSpan window)
    {
        if (Text(claims, "htm") != request.Method)
        {
            return "is for another method (htm)";
        }
        if (!Uri.TryCreate(Text(claims, "htu"), UriKind.Absolute, out var htu) || !IsAddressOf(htu, request))
        {
            return "is for another address (htu): the request's own, without query";
        }
        if (!claims.RootElement.TryGetProperty("iat", out var issued) || !issued.TryGetDouble(out var seconds) || Math.Abs(now.ToUnixTimeSeconds() - seconds) > window.TotalSeconds)
        {
            return FormattableString.Invariant($"was not made now (iat): the time here is {now.ToUnixTimeSeconds()}, and a clock may be off by {window.TotalSeconds} seconds");
        }
        if (Text(claims, "jti") is not { Length: > 0 and <= LongestId })
        {
            return "must have an identifier of its own (jti), of at most 128 characters";
        }
        return request.Headers.Authorization.ToString() is { } token && token.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)
            && Text(claims, "ath") != Base64UrlEncoder.Encode(SHA256.HashData(Encoding.ASCII.GetBytes(token[Bearer.Length..].Trim())))
            ? "does not hold for this access token (ath)"
            : null;
    }

    /// <summary>The address that the client used: in front of the service is the gateway, which says what was asked of it.</summary>
    private static bool IsAddressOf(Uri htu, HttpRequest request)
    {
        var scheme = request.Headers["X-Forwarded-Proto"] is [{ Length: > 0 } proto] ? proto : request.Scheme;
        var host = request.Headers["X-Forwarded-Host"] is [{ Length: > 0 } forwarded] ? forwarded : request.Host.Value;
        return Uri.TryCreate($"{scheme}://{host}{request.PathBase}{request.Path}", UriKind.Absolute, out var address)
            && Uri.Compare(htu, address, UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.SafeUnescaped, StringComparison.Ordinal) == 0
            && htu.UserInfo.Length == 0;
    }

    private static string? Thumbprint(JsonElement jwk, out ECPoint point)
    {
        point = default;
        if (Text(jwk, "kty") != "EC" || Text(jwk, "crv") != "P-256" || jwk.TryGetProperty("d", out _) || Text(jwk, "x") is not { } x || Text(jwk, "y") is not { } y)
        {
            return null;
        }
        point = new() { X = Base64UrlEncoder.DecodeBytes(x), Y = Base64UrlEncoder.DecodeBytes(y) };

        // One key has one spelling, or it would have several thumbprints.
        return point is { X.Length: 32, Y.Length: 32 } && Base64UrlEncoder.Encode(point.X) == x && Base64UrlEncoder.Encode(point.Y) == y
            ? Base64UrlEncoder.Encode(SHA256.HashData(Encoding.ASCII.GetBytes($$"""{"crv":"P-256","kty":"EC","x":"{{x}}","y":"{{y}}"}""")))
            : null;
    }

    private static string? Text(JsonDocument document, string name) => Text(document.RootElement, name);

    private static string? Text(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
