using System.Net;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using MobileServices.Push;
using MobileServices.Push.Networks;
using MobileServices.Push.Networks.Apns;
using MobileServices.Push.Networks.Fcm;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>How long the tokens that networks want are used, by a clock that is moved.</summary>
public sealed class TokenLifeTests
{
    private static readonly DateTimeOffset Begin = new(2030, 1, 31, 12, 0, 0, TimeSpan.Zero);

    /// <summary>Apple refuses one that is older than an hour, and a new one within 20 minutes ("Establishing a token-based connection to APNs").</summary>
    [Fact]
    public async Task A_provider_token_of_APNs_is_replaced_after_20_minutes_at_the_earliest_and_60_at_the_latest()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var tokens = new ApnsTokens(key.ExportPkcs8PrivateKey(), "ABCDE12345", "TEAM123456", "com.example.shop", "https://apns.example");
        var changes = new List<DateTimeOffset>();
        string? last = null;
        for (var now = Begin; now < Begin.AddHours(6); now = now.AddSeconds(30))
        {
            var token = tokens.Get(now);
            if (token != last)
            {
                changes.Add(now);
                last = token;
            }
            var checkedToken = await new JsonWebTokenHandler().ValidateTokenAsync(token["bearer ".Length..], new()
            {
                ValidIssuer = "TEAM123456",
                ValidateAudience = false,
                ValidateLifetime = false,
                RequireExpirationTime = false,
                IssuerSigningKey = new ECDsaSecurityKey(key) { KeyId = "ABCDE12345" },
                ValidAlgorithms = ["ES256"],
            });
            Assert.True(checkedToken.IsValid, checkedToken.Exception?.Message);
            Assert.InRange(now - DateTimeOffset.FromUnixTimeSeconds(Convert.ToInt64(checkedToken.Claims["iat"])), TimeSpan.Zero, TimeSpan.FromMinutes(59));
        }

        Assert.InRange(changes.Count, 6, 18);
        Assert.All(changes.Zip(changes.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(60)));
    }

    [Fact]
    public void A_provider_token_that_APNs_calls_expired_is_replaced_at_once_unless_it_is_new()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var tokens = new ApnsTokens(key.ExportPkcs8PrivateKey(), "ABCDE12345", "TEAM123456", "com.example.shop", "https://apns.example");
        var first = tokens.Get(Begin);

        Assert.False(tokens.Drop(first, Begin.AddMinutes(19)));
        Assert.Equal(first, tokens.Get(Begin.AddMinutes(19)));
        Assert.True(tokens.Drop(first, Begin.AddMinutes(21)));
        var second = tokens.Get(Begin.AddMinutes(21));
        Assert.NotEqual(first, second);
        // Those who were on their way with the first do not end the second.
        Assert.True(tokens.Drop(first, Begin.AddMinutes(22)));
        Assert.Equal(second, tokens.Get(Begin.AddMinutes(22)));
    }

    [Fact]
    public async Task An_access_token_of_FCM_is_used_by_all_and_fetched_anew_before_its_end()
    {
        await using var fcm = await FakeNetwork.FcmAsync();
        var clock = new FakeTimeProvider(Begin);
        using var http = new PushHttp(Options.Create(new PushOptions()));
        using var key = RSA.Create(2048);
        var tokens = new FcmTokens(http, clock, $"{fcm.PlainAddress}/token", "push@shop.example", "k1", key.ExportPkcs8PrivateKey(), "shop");

        var at = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => TokenAsync()));
        Assert.Single(at.Distinct());
        Assert.Equal(1, fcm.Count("token"));

        // The fake's are for 3599 s.
        clock.Advance(TimeSpan.FromMinutes(54));
        Assert.Equal(at[0], await TokenAsync());
        clock.Advance(TimeSpan.FromMinutes(1));
        var early = await TokenAsync();
        Assert.NotEqual(at[0], early);
        Assert.Equal(2, fcm.Count("token"));

        async Task<string> TokenAsync()
        {
            var (token, refusal) = await tokens.GetAsync(CancellationToken.None);
            Assert.Null(refusal);
            return token!;
        }
    }

    /// <summary>RFC 9110, section 10.2.3: seconds or a date.</summary>
    [Theory]
    [InlineData("7", 7)]
    [InlineData("Thu, 31 Jan 2030 12:00:07 GMT", 7)]
    [InlineData("Thu, 31 Jan 2030 11:59:00 GMT", 0)]
    [InlineData("soon", null)]
    [InlineData(null, null)]
    public void A_time_to_wait_is_read_in_both_its_forms(string? header, int? seconds)
    {
        using var response = new HttpResponseMessage(HttpStatusCode.TooManyRequests);
        if (header is not null)
        {
            response.Headers.TryAddWithoutValidation("Retry-After", header);
        }

        Assert.Equal(seconds is { } wait ? TimeSpan.FromSeconds(wait) : null, new Answer(429, "", response.Headers, null).RetryAfter(Begin));
    }
}
