using System.Text.Json;
using MobileServices.Sync.Indexes;

namespace MobileServices.Sync.Views;

/// <summary>The rows of a view with a reduce function: one for each group of keys.</summary>
internal sealed class GroupedRows(IndexScan scan, ViewQuery query, Reducer reducer)
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 1100 };

    private long _skip = query.Skip;
    private long _left = query.Limit;
    private bool _isFirst = true;

    public async Task WriteAsync(JsonOut answer, CancellationToken ct)
    {
        foreach (var range in query.Ranges)
        {
            byte[]? group = null;
            var key = "null";
            await foreach (var row in scan.ReadAsync(range, query.Descending, withDocuments: false, ct: ct))
            {
                if (_left <= 0)
                {
                    return;
                }
                var (code, text) = GroupOf(row);
                if (group is not null && !code.AsSpan().SequenceEqual(group))
                {
                    await RowAsync(answer, key, ct);
                }
                (group, key) = (code, text);
                reducer.Add(row);
            }
            if (group is not null && _left > 0)
            {
                await RowAsync(answer, key, ct);
            }
        }
    }

    private (byte[] Code, string Key) GroupOf(ScanRow row)
    {
        if (query.GroupLevel is 0)
        {
            return ([], "null");
        }
        if (query.GroupLevel is int.MaxValue)
        {
            return (row.Position.Key, row.Key!);
        }
        using var key = JsonDocument.Parse(row.Key!, Reading);
        if (key.RootElement.ValueKind is not JsonValueKind.Array)
        {
            return (row.Position.Key, row.Key!);
        }
        var items = key.RootElement.EnumerateArray().Take(query.GroupLevel).ToArray();
        // Behind a byte that no key begins with: the list of an item is not the item.
        return ([0, .. KeyCode.Of(items)], $"[{string.Join(',', items.Select(item => item.GetRawText()))}]");
    }

    private async Task RowAsync(JsonOut answer, string key, CancellationToken ct)
    {
        var value = reducer.Take();
        if (_skip-- > 0)
        {
            return;
        }
        _left--;
        answer.Raw(_isFirst ? "\n{\"key\":"u8 : ",\n{\"key\":"u8);
        _isFirst = false;
        answer.Raw(key);
        answer.Raw(",\"value\":"u8);
        answer.Raw(value);
        answer.Raw("}"u8);
        await scan.SendSomeAsync(answer, ct);
    }
}
