using System.Globalization;
using System.Net.Http.Headers;

namespace FrontendServices.Sections;

/// <summary>What the answers that a section is made of say about their age; the section is as old as the oldest.</summary>
internal sealed class CallNote
{
    private static readonly AsyncLocal<CallNote?> Ambient = new();
    private readonly Lock _lock = new();

    /// <summary>That of the section that is being made.</summary>
    public static CallNote? Current => Ambient.Value;

    public int AgeSeconds { get; private set; }

    /// <summary>One of them stands in for an answer that a backend system did not give.</summary>
    public bool IsStale { get; private set; }

    /// <summary>The section is not whole and must not be kept.</summary>
    public bool IsPartial { get; set; }

    /// <summary>From now on, in this flow and what it calls.</summary>
    public static CallNote Begin() => Ambient.Value = new();

    public void Add(int ageSeconds, bool isStale, bool isPartial = false)
    {
        lock (_lock)
        {
            AgeSeconds = Math.Max(AgeSeconds, ageSeconds);
            IsStale |= isStale;
            IsPartial |= isPartial;
        }
    }

    public void Add(CallNote other) => Add(other.AgeSeconds, other.IsStale, other.IsPartial);
}

/// <summary>Reads <c>Age</c> and <c>Cache-Status</c> (RFC 9211, where a ttl below zero says stale) of what services answer.</summary>
internal sealed class AgeReading : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        if (CallNote.Current is { } note && response.Headers.Age is { } age)
        {
            note.Add((int)age.TotalSeconds, IsStale(response.Headers));
        }
        return response;
    }

    private static bool IsStale(HttpResponseHeaders headers)
    {
        if (!headers.TryGetValues("Cache-Status", out var values))
        {
            return false;
        }
        foreach (var value in values)
        {
            foreach (var part in value.Split(';', StringSplitOptions.TrimEntries))
            {
                if (part.StartsWith("ttl=", StringComparison.Ordinal)
                    && int.TryParse(part.AsSpan(4), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var ttl))
                {
                    return ttl < 0;
                }
            }
        }
        return false;
    }
}

/// <summary>One answer that several sections are made of, asked for once.</summary>
internal sealed class SharedCall<T>(Func<Task<T>> call)
{
    private readonly Lazy<Task<(T Answer, CallNote Note)>> _call = new(async () =>
    {
        var note = CallNote.Begin();
        return (await call(), note);
    });

    public async Task<T> GetAsync()
    {
        var (answer, note) = await _call.Value;
        CallNote.Current?.Add(note);
        return answer;
    }
}
