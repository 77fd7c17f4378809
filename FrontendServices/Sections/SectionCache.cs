using System.Security.Cryptography;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace FrontendServices.Sections;

/// <summary>Sections as they were answered, for a moment as fresh ones and for longer in place of ones that fail. In this process alone: they may be lost.</summary>
internal sealed class SectionCache(IOptions<SectionsOptions> options, TimeProvider time) : IDisposable
{
    private const int EntryOverhead = 256;
    private readonly TimeSpan _fresh = TimeSpan.FromSeconds(options.Value.FreshSeconds);
    private readonly TimeSpan _kept = TimeSpan.FromSeconds(Math.Max(options.Value.FreshSeconds, options.Value.StaleSeconds));
    private readonly TimeSpan _stale = TimeSpan.FromSeconds(options.Value.StaleSeconds);
    private readonly MemoryCache _cache = new(new MemoryCacheOptions { SizeLimit = options.Value.CacheMegabytes * 1024L * 1024L });

    /// <param name="subject">Whom or what it is about, such as <c>customer:C-000123</c>: what <see cref="Evict"/> is told when that changes.</param>
    public KeptSection? Find(string subject, string key) => _kept > TimeSpan.Zero ? _cache.Get<KeptSection>((subject, key)) : null;

    public bool IsFresh(string subject, KeptSection section) =>
        time.GetElapsedTime(section.KeptAt) < _fresh && !(_cache.TryGetValue(subject, out long evicted) && evicted >= section.KeptAt);

    public bool IsUsable(KeptSection section) => Age(section) < _stale;

    public TimeSpan Age(KeptSection section) => section.AgeThen + time.GetElapsedTime(section.KeptAt);

    /// <param name="age">How old the data is already.</param>
    public KeptSection Keep(string subject, string key, byte[] json, TimeSpan age)
    {
        var section = Pack(json, age);
        if (_kept > TimeSpan.Zero)
        {
            _cache.Set((subject, key), section, new MemoryCacheEntryOptions { Size = json.Length + EntryOverhead, AbsoluteExpirationRelativeToNow = _kept });
        }
        return section;
    }

    /// <summary>As <see cref="Keep"/> without keeping it.</summary>
    public KeptSection Pack(byte[] json, TimeSpan age) => new(json, BitConverter.ToUInt64(SHA256.HashData(json)), time.GetTimestamp(), age);

    /// <summary>What is kept about the subject is no longer fresh; it still stands in for what fails, and says how old it is.</summary>
    public void Evict(string subject) =>
        _cache.Set(subject, time.GetTimestamp(), new MemoryCacheEntryOptions { Size = EntryOverhead, AbsoluteExpirationRelativeToNow = _kept + _fresh + TimeSpan.FromSeconds(1) });

    public void Dispose() => _cache.Dispose();
}

/// <param name="Json">UTF-8.</param>
/// <param name="Hash">Of the JSON.</param>
/// <param name="KeptAt">Of the time provider.</param>
/// <param name="AgeThen">How old the data was then.</param>
internal sealed record KeptSection(byte[] Json, ulong Hash, long KeptAt, TimeSpan AgeThen);
