using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.IdentityModel.Tokens;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>Proofs of RFC 9449 in their parts, so that a test can make any of them wrong.</summary>
internal static class DpopProof
{
    public static JsonObject Claims(string method, string address, string? token)
    {
        var claims = new JsonObject
        {
            ["htm"] = method,
            ["htu"] = address,
            ["iat"] = DateTimeOffset.UtcNow.ToUnixTimeSeconds(),
            ["jti"] = Guid.NewGuid().ToString(),
        };
        if (token is not null)
        {
            claims["ath"] = Base64UrlEncoder.Encode(SHA256.HashData(Encoding.ASCII.GetBytes(token)));
        }
        return claims;
    }

    public static JsonObject Header(ECDsa key)
    {
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        return new()
        {
            ["typ"] = "dpop+jwt",
            ["alg"] = "ES256",
            ["jwk"] = new JsonObject { ["kty"] = "EC", ["crv"] = "P-256", ["x"] = Base64UrlEncoder.Encode(point.X), ["y"] = Base64UrlEncoder.Encode(point.Y) },
        };
    }

    public static string Thumbprint(ECDsa key)
    {
        var jwk = Header(key)["jwk"]!;
        return Base64UrlEncoder.Encode(new JsonWebKey { Kty = "EC", Crv = "P-256", X = (string?)jwk["x"], Y = (string?)jwk["y"] }.ComputeJwkThumbprint());
    }

    public static string Sign(ECDsa key, JsonObject claims, JsonObject? header = null)
    {
        var content = $"{Part(header ?? Header(key))}.{Part(claims)}";
        return $"{content}.{Base64UrlEncoder.Encode(key.SignData(Encoding.ASCII.GetBytes(content), HashAlgorithmName.SHA256))}";
    }

    public static string Part(JsonObject json) => Base64UrlEncoder.Encode(json.ToJsonString());
}
