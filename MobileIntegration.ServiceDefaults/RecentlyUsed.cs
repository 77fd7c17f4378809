using System.Diagnostics.CodeAnalysis;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// At most so many entries, of which those in use stay: two generations, the young one becomes the old one when it is full, and what nobody asked for
/// since is dropped with the one before. For any number of threads; a look takes a lock for the time of a look.
/// </summary>
/// <param name="most">How many at most; an even number, 2 or more.</param>
public sealed class RecentlyUsed<TKey, TValue>(int most) where TKey : notnull
{
    private readonly Lock _lock = new();
    private Dictionary<TKey, TValue> _young = [];
    private Dictionary<TKey, TValue> _old = [];

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _young.Count + _old.Count;
            }
        }
    }

    public bool TryGet(TKey key, [MaybeNullWhen(false)] out TValue value)
    {
        lock (_lock)
        {
            if (_young.TryGetValue(key, out value))
            {
                return true;
            }
            if (!_old.TryGetValue(key, out value))
            {
                return false;
            }
            Keep(key, value);
            return true;
        }
    }

    public void Set(TKey key, TValue value)
    {
        lock (_lock)
        {
            Keep(key, value);
        }
    }

    private void Keep(TKey key, TValue value)
    {
        if (_young.Count >= most / 2 && !_young.ContainsKey(key))
        {
            (_old, _young) = (_young, []);
        }
        _young[key] = value;
    }
}
