using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Dapper;
using Microsoft.AspNetCore;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Options;
using OpenIddict.Abstractions;
using OpenIddict.Server;
using static OpenIddict.Server.OpenIddictServerEvents;

namespace MobileServices.Identity.Tokens;

/// <summary>
/// The refreshes of one login (a family of tokens) happen one after the other, each in one transaction with the answer that is kept. The last
/// token sent again within the window gets that answer again; a token sent again in any other way ends the family.
/// </summary>
internal sealed class RefreshTurns(IdentityContext database, IOptions<IdentityOptions> options, TimeProvider time)
    : IOpenIddictServerHandler<ProcessAuthenticationContext>, IOpenIddictServerHandler<ApplyTokenResponseContext>, IAsyncDisposable
{
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    /// <summary>Whoever waits for its turn holds a connection; so many leave enough for all other requests.</summary>
    private static readonly SemaphoreSlim Places = new(32);
    private bool _placed;
    private IDbContextTransaction? _turn;

    /// <summary>The client is known and has proven itself; the token has not been looked at.</summary>
    public async ValueTask HandleAsync(ProcessAuthenticationContext context)
    {
        if (context.EndpointType is not OpenIddictServerEndpointType.Token || !context.Request.IsRefreshTokenGrantType()
            || context.Request is not { RefreshToken: { Length: > 0 } token, ClientId: { Length: > 0 } client })
        {
            return;
        }
        var http = context.Transaction.GetHttpRequest()!.HttpContext;
        await Places.WaitAsync(http.RequestAborted);
        _placed = true;
        _turn = await database.Database.BeginTransactionAsync(http.RequestAborted);
        var sent = new { reference = Reference(token), client };
        if (await database.Connection.ExecuteScalarAsync<Guid?>(LockSql, sent, _turn.GetDbTransaction()) is not { } family
            || await database.Connection.QuerySingleAsync<KeptAnswer>(ReadSql, sent, _turn.GetDbTransaction()) is not { Redeemed: true } kept)
        {
            return;
        }
        if (kept is { SameClient: true, SuccessorLives: true, Sealed: not null }
            && time.GetUtcNow() - kept.AnsweredAt is var age && age <= options.Value.Replay)
        {
            var answer = Open(kept.Sealed, token);
            answer.ExpiresIn -= (long)Math.Max(0, age.TotalSeconds);
            http.Response.Headers.CacheControl = "no-store";
            await http.Response.WriteAsJsonAsync(answer, http.RequestAborted);
            context.HandleRequest();
            return;
        }
        await database.Connection.ExecuteAsync(EndSql, new { family }, _turn.GetDbTransaction());
    }

    public async ValueTask HandleAsync(ApplyTokenResponseContext context)
    {
        if (_turn is null)
        {
            return;
        }
        if (context is { Error: null, Request.RefreshToken: { } token, Response: { RefreshToken: { } successor } answer } && options.Value.ReplaySeconds > 0)
        {
            await database.Connection.ExecuteAsync(
                KeepSql,
                new { reference = Reference(token), successor = Reference(successor), @sealed = Seal(answer, token), now = time.GetUtcNow() },
                _turn.GetDbTransaction());
        }
        await _turn.CommitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_turn is not null)
        {
            await _turn.DisposeAsync();
        }
        if (_placed)
        {
            Places.Release();
        }
    }

    /// <summary>How OpenIddict writes the name of a token that is looked up.</summary>
    private static string Reference(string token) => Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    private static byte[] Seal(OpenIddictResponse answer, string token)
    {
        var text = JsonSerializer.SerializeToUtf8Bytes(answer);
        var box = new byte[NonceBytes + TagBytes + text.Length];
        RandomNumberGenerator.Fill(box.AsSpan(0, NonceBytes));
        using var cipher = Cipher(token);
        cipher.Encrypt(box.AsSpan(0, NonceBytes), text, box.AsSpan(NonceBytes + TagBytes), box.AsSpan(NonceBytes, TagBytes));
        return box;
    }

    private static OpenIddictResponse Open(byte[] box, string token)
    {
        var text = new byte[box.Length - NonceBytes - TagBytes];
        using var cipher = Cipher(token);
        cipher.Decrypt(box.AsSpan(0, NonceBytes), box.AsSpan(NonceBytes + TagBytes), box.AsSpan(NonceBytes, TagBytes), text);
        return JsonSerializer.Deserialize<OpenIddictResponse>(text)!;
    }

    /// <summary>A key that is not in the database: the table of answers alone tells nothing.</summary>
    private static AesGcm Cipher(string token) =>
        new(HKDF.DeriveKey(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(token), 32, info: "refresh answer"u8.ToArray()), TagBytes);

    private sealed class KeptAnswer
    {
        public required bool Redeemed { get; init; }

        public required bool SameClient { get; init; }

        public required bool SuccessorLives { get; init; }

        public byte[]? Sealed { get; init; }

        public DateTime AnsweredAt { get; init; }
    }

    private const string LockSql =
        """
        select id
        from identity.authorization
        where id = (select authorization_id from identity.token where reference_id = @reference)
        for no key update
        """;

    private const string ReadSql =
        """
        select p.status = 'redeemed' as redeemed, c.client_id = @client as SameClient,
               coalesce(s.status = 'valid' and a.status = 'valid', false) as SuccessorLives,
               r.sealed, coalesce(r.answered_at, '-infinity') as AnsweredAt
        from identity.token p
        join identity.authorization a on a.id = p.authorization_id
        join identity.application c on c.id = a.application_id
        left join identity.refresh_answer r on r.predecessor_id = p.id
        left join identity.token s on s.id = r.successor_id
        where p.reference_id = @reference
        """;

    private const string KeepSql =
        """
        insert into identity.refresh_answer (predecessor_id, successor_id, sealed, answered_at)
        select p.id, s.id, @sealed, @now
        from identity.token p, identity.token s
        where p.reference_id = @reference and s.reference_id = @successor
        """;

    private const string EndSql =
        """
        update identity.authorization set status = 'revoked' where id = @family;
        update identity.token set status = 'revoked' where authorization_id = @family and status <> 'redeemed'
        """;
}
