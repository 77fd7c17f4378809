using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;

namespace MobileServices;

/// <summary>Configuration section <c>Keys</c>.</summary>
internal sealed class KeyOptions
{
    /// <summary>
    /// With it private keys are sealed before they go into the database, by AES-256-GCM: who reads the database, or a copy of it, cannot sign. At least 32
    /// characters, the same for all replicas; null unless set, and keys are kept as they are.
    /// </summary>
    [MinLength(32, ErrorMessage = "Keys:Secret is shorter than 32 characters. Set a random one.")]
    public string? Secret { get; set; }
}

/// <summary>Keeps private keys from who reads the database.</summary>
internal sealed class KeySeal
{
    /// <summary>A key that is not sealed begins with the tag of a DER sequence.</summary>
    private const byte Sealed = 1;
    private const int Nonce = 12;
    private const int Tag = 16;

    private readonly byte[]? _key;

    public KeySeal(IOptions<KeyOptions> options, IHostEnvironment environment, ILogger<KeySeal> logger)
    {
        if (options.Value.Secret is { } secret)
        {
            _key = HKDF.DeriveKey(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(secret), 32, info: "private keys"u8.ToArray());
        }
        else if (!environment.IsDevelopment())
        {
            logger.LogWarning(
                "Private keys and credentials are not sealed in the database: who reads it, or a copy of it, can sign with them. Set Keys:Secret to 32 random characters or more, the same for all replicas");
        }
    }

    public bool HasSecret => _key is not null;

    public static bool IsOpen(byte[] kept) => kept[0] is not Sealed;

    /// <returns>What goes into the database.</returns>
    public byte[] Close(string id, byte[] key)
    {
        if (_key is null)
        {
            return key;
        }
        var kept = new byte[1 + Nonce + Tag + key.Length];
        kept[0] = Sealed;
        RandomNumberGenerator.Fill(kept.AsSpan(1, Nonce));
        using var cipher = new AesGcm(_key, Tag);
        cipher.Encrypt(kept.AsSpan(1, Nonce), key, kept.AsSpan(1 + Nonce + Tag), kept.AsSpan(1 + Nonce, Tag), Encoding.UTF8.GetBytes(id));
        return kept;
    }

    /// <param name="kept">As it is in the database, sealed or not.</param>
    public byte[] Open(string id, byte[] kept)
    {
        if (IsOpen(kept))
        {
            return kept;
        }
        try
        {
            var key = new byte[kept.Length - 1 - Nonce - Tag];
            using var cipher = new AesGcm(_key ?? throw new CryptographicException(), Tag);
            cipher.Decrypt(kept.AsSpan(1, Nonce), kept.AsSpan(1 + Nonce + Tag), kept.AsSpan(1 + Nonce, Tag), key, Encoding.UTF8.GetBytes(id));
            return key;
        }
        catch (CryptographicException)
        {
            throw new StartException(
                $"The private key {id} in the database is sealed, and Keys:Secret is not what it was sealed with. Set that secret, or remove the key, and with it every token that it signed.");
        }
    }
}

/// <summary>A request that needs what is sealed with another secret: neither the caller's fault nor one that goes by, and to save anything anew here would lock the others out.</summary>
internal sealed class OtherSecretHandler(IProblemDetailsService problems, ILogger<OtherSecretHandler> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (exception is not StartException)
        {
            return false;
        }
        logger.LogError("A request was answered with 503: {Reason}", exception.Message);
        httpContext.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return await problems.TryWriteAsync(new()
        {
            HttpContext = httpContext,
            ProblemDetails = new()
            {
                Status = StatusCodes.Status503ServiceUnavailable,
                Detail = "What this needs is sealed in the database, and Keys:Secret of this service is not what it was sealed with. Nothing was changed. Whoever runs it must set that secret.",
            },
            Exception = exception,
        });
    }
}

internal static class KeySealExtensions
{
    public static void AddKeySeal(this IHostApplicationBuilder builder)
    {
        builder.Services.AddOptions<KeyOptions>().BindConfiguration("Keys").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton<KeySeal>();
        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<IExceptionHandler, OtherSecretHandler>());
    }
}
