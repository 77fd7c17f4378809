using IntegrationServices.Connectors;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Reads;

/// <summary>
/// Answers of backend systems, kept in this process and in Redis. Each is kept twice: as a fresh one under the tags of what it is about, and longer as
/// one that stands in for an answer that does not come. Calls for the same thing at the same time ask once.
/// </summary>
internal sealed class ReadCache(HybridCache cache, IOptionsMonitor<ReadsOptions> options, TimeProvider time, ILogger<ReadCache> logger)
{
    /// <summary>Joins calls for the same records that come together; what they got is kept record by record.</summary>
    private static readonly HybridCacheEntryOptions Joined = new()
    {
        Expiration = TimeSpan.FromSeconds(1),
        Flags = HybridCacheEntryFlags.DisableDistributedCache,
    };

    private static readonly HybridCacheEntryOptions OnlyLook = new() { Flags = HybridCacheEntryFlags.DisableUnderlyingData };

    /// <summary>One answer.</summary>
    /// <param name="key">Tells it from others of its kind; checked, or made of checked parts.</param>
    /// <param name="tag">What it is about, for <see cref="EvictAsync"/>; each <see cref="Tags"/>.</param>
    /// <param name="ask">Null when there is no such thing, which is kept too.</param>
    /// <exception cref="BackendException">No answer, nor one that could stand in.</exception>
    public async Task<Read<T?>> GetAsync<T>(string kind, string key, string tag, Func<CancellationToken, Task<T?>> ask, CancellationToken ct) where T : class
    {
        var settings = options.Get(kind);
        var name = $"{kind}|{key}";
        try
        {
            if (settings.FreshSeconds is 0)
            {
                var live = new Kept<T>(await ask(ct), time.GetUtcNow());
                await KeepOldAsync(name, live, settings);
                return Fresh(kind, live, settings);
            }
            while (true)
            {
                var asked = false;
                try
                {
                    // Others may wait for the same answer, so it is not given up with the one who asked first.
                    var kept = await cache.GetOrCreateAsync(name, async _ =>
                    {
                        asked = true;
                        var answer = new Kept<T>(await ask(CancellationToken.None), time.GetUtcNow());
                        await KeepOldAsync(name, answer, settings);
                        return answer;
                    }, FreshFor(settings), [tag], CancellationToken.None).AsTask().WaitAsync(ct);
                    return Fresh(kind, kept, settings);
                }
                catch (BackendException exception) when (!asked && exception.Status is StatusCodes.Status504GatewayTimeout && Deadline.Current?.Remaining > TimeSpan.Zero)
                {
                    // It was too late for the one who asked first, who had less time.
                }
            }
        }
        catch (BackendException exception)
        {
            if (await OldAsync<T>(name, settings) is not { } old)
            {
                throw;
            }
            return Stale(kind, old.Data, old.At, settings, exception);
        }
    }

    /// <summary>Up to 100 records by their ids, which are kept one by one.</summary>
    /// <returns>Those that exist, in the order of <paramref name="ids"/>; as old as the oldest.</returns>
    /// <exception cref="BackendException">No answer, nor records that could stand in for all.</exception>
    public async Task<Read<List<T>>> GetManyAsync<T>(
        string kind, IReadOnlyCollection<string> ids, Func<T, string> idOf, Func<string, string> tagOf, Func<IReadOnlyCollection<string>, CancellationToken, Task<List<T>>> ask, CancellationToken ct)
        where T : class
    {
        var settings = options.Get(kind);
        var found = new Dictionary<string, Kept<T>>(ids.Count, StringComparer.Ordinal);
        if (settings.FreshSeconds > 0)
        {
            foreach (var (id, kept) in await Task.WhenAll(ids.Select(async id => (id, await LookAsync<T>($"{kind}|{id}")))))
            {
                if (kept is not null)
                {
                    found[id] = kept;
                }
            }
        }
        string[] missing = [.. ids.Where(id => !found.ContainsKey(id))];
        BackendException? why = null;
        if (missing.Length > 0)
        {
            try
            {
                var answer = settings.FreshSeconds is 0
                    ? await AskAsync(ct)
                    : (await cache.GetOrCreateAsync($"{kind}|many|{string.Join(',', missing)}", async _ => new Kept<List<T>>(await AskAsync(CancellationToken.None), time.GetUtcNow()),
                        Joined, cancellationToken: CancellationToken.None).AsTask().WaitAsync(ct)).Data!;
                var byId = ById(answer, idOf);
                foreach (var id in missing)
                {
                    found[id] = new(byId.GetValueOrDefault(id), time.GetUtcNow());
                }
            }
            catch (BackendException exception)
            {
                foreach (var id in missing)
                {
                    if (await OldAsync<T>($"{kind}|{id}", settings) is not { } old)
                    {
                        throw;
                    }
                    found[id] = old;
                }
                why = exception;
            }
        }
        var oldest = found.Count is 0 ? time.GetUtcNow() : found.Values.Min(kept => kept.At);
        List<T> list = [.. ids.Select(id => found[id].Data).OfType<T>()];
        var read = why is null ? Fresh(kind, new Kept<List<T>>(list, oldest), settings) : Stale(kind, list, oldest, settings, why);
        return read.Select(_ => list);

        async Task<List<T>> AskAsync(CancellationToken token)
        {
            var answer = await ask(missing, token);
            var byId = ById(answer, idOf);
            var now = time.GetUtcNow();
            await Task.WhenAll(missing.Select(async id =>
            {
                var kept = new Kept<T>(byId.GetValueOrDefault(id), now);
                if (settings.FreshSeconds > 0)
                {
                    await cache.SetAsync($"{kind}|{id}", kept, FreshFor(settings), [tagOf(id)], CancellationToken.None);
                }
                await KeepOldAsync($"{kind}|{id}", kept, settings);
            }));
            return answer;
        }
    }

    /// <summary>
    /// What is kept under these tags is no longer fresh, here and for whoever next reads it from Redis. It still stands in for an answer that does not come.
    /// Every process hears of changes by events (<see cref="ReadsSetup"/>); this is for who knows sooner.
    /// </summary>
    /// <remarks>Without Redis it is so here; a process that starts later may read what is fresh until its time ends.</remarks>
    public async Task EvictAsync(params string[] tags)
    {
        foreach (var tag in tags)
        {
            try
            {
                await cache.RemoveByTagAsync(tag);
            }
            catch (Exception exception)
            {
                logger.LogWarning("That {Tag} is no longer fresh cannot be told to Redis: {Reason}", tag, exception.Message);
            }
        }
    }

    /// <summary>A system that names a record twice means the same one.</summary>
    private static Dictionary<string, T> ById<T>(List<T> answer, Func<T, string> idOf)
    {
        var byId = new Dictionary<string, T>(answer.Count, StringComparer.Ordinal);
        foreach (var one in answer)
        {
            byId[idOf(one)] = one;
        }
        return byId;
    }

    private async Task<Kept<T>?> LookAsync<T>(string name) where T : class =>
        await cache.GetOrCreateAsync(name, static _ => ValueTask.FromResult<Kept<T>?>(null), OnlyLook);

    private async Task KeepOldAsync<T>(string name, Kept<T> kept, ReadsOptions settings)
    {
        if (settings.StaleSeconds > 0)
        {
            await cache.SetAsync($"old|{name}", kept, new() { Expiration = TimeSpan.FromSeconds(settings.StaleSeconds) });
        }
    }

    private async Task<Kept<T>?> OldAsync<T>(string name, ReadsOptions settings) where T : class =>
        settings.StaleSeconds > 0 ? await LookAsync<T>($"old|{name}") : null;

    private static HybridCacheEntryOptions FreshFor(ReadsOptions settings) => new() { Expiration = TimeSpan.FromSeconds(settings.FreshSeconds) };

    private Read<T?> Fresh<T>(string kind, Kept<T> kept, ReadsOptions settings)
    {
        var age = Age(kept.At);
        var ttl = TimeSpan.FromSeconds(settings.FreshSeconds) - age;
        return new(kind, kept.Data, age, ttl > TimeSpan.Zero ? ttl : TimeSpan.Zero, null);
    }

    private Read<T?> Stale<T>(string kind, T? data, DateTimeOffset at, ReadsOptions settings, BackendException why)
    {
        var age = Age(at);
        logger.LogWarning(why.InnerException, "{Kind}: an answer of {Seconds} s ago stands in: {Failure}", kind, (int)age.TotalSeconds, why.Message);
        var over = TimeSpan.FromSeconds(settings.FreshSeconds) - age;
        return new(kind, data, age, over < TimeSpan.FromSeconds(-1) ? over : TimeSpan.FromSeconds(-1), why);
    }

    private TimeSpan Age(DateTimeOffset at) => time.GetUtcNow() - at is { Ticks: > 0 } age ? age : TimeSpan.Zero;
}

/// <summary>What reads are kept under: the one list of what a change can be about.</summary>
internal static class Tags
{
    /// <summary>The cache's own tag of everything.</summary>
    public const string All = "*";

    public static string Customer(string id) => $"customer:{id}";

    public static string OrdersOf(string customerId) => $"orders:{customerId}";

    public static string Order(string id) => $"order:{id}";

    public static string Product(string id) => $"product:{id}";

    /// <summary>Lists and searches: whatever changes in the catalogue may change them.</summary>
    public const string Catalogue = "catalogue";

    public static string StockOf(string productId) => $"stock:{productId}";

    public const string Stores = "stores";
}
