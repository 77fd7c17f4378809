namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>
/// One instance of texts and small objects that come again and again. A table of fixed size where the newest wins, so that texts that never
/// repeat cannot fill the memory; races cost a second instance at most.
/// </summary>
internal sealed class StringPool
{
    private const int Size = 1 << 14;
    private const int LongestPooled = 256;

    private readonly string?[] _texts = new string?[Size];
    private readonly object?[] _numbers = new object?[1 << 10];

    public string Text(string text)
    {
        if (text.Length is 0 or > LongestPooled)
        {
            return text.Length == 0 ? "" : text;
        }

        ref var slot = ref _texts[text.GetHashCode() & (Size - 1)];
        if (slot is { } known && known == text)
        {
            return known;
        }

        return slot = text;
    }

    public object Number(long number)
    {
        ref var slot = ref _numbers[(int)(number & (_numbers.Length - 1))];
        if (slot is long known && known == number)
        {
            return slot;
        }

        return slot = number;
    }
}
