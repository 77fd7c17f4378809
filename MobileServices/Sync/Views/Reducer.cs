using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Jint;
using MobileServices.Sync.Indexes;
using MobileServices.Sync.Scripts;

namespace MobileServices.Sync.Views;

/// <summary>Makes one value of the rows of a group; the next group begins when it was taken.</summary>
internal abstract class Reducer
{
    public abstract void Add(ScanRow row);

    /// <returns>JSON.</returns>
    public abstract string Take();

    /// <exception cref="SyncException">There is no such function, or it does not compile.</exception>
    public static Reducer Of(string name, string reduce, SyncOptions options) => reduce.Trim() switch
    {
        "_count" => new CountReducer(),
        "_sum" => new SumReducer(),
        "_stats" => new StatsReducer(),
        ['_', ..] => throw new SyncException(400, "bad_request", $"{reduce.Trim()} is none of the functions that are built in: _count, _sum, _stats."),
        _ => new ScriptReducer($"The reduce function of {name}", reduce, options),
    };

    protected static double Number(JsonElement value, string function, string needs) => value.ValueKind is JsonValueKind.Number ? value.GetDouble()
        : throw new SyncException(500, "builtin_reduce_error", $"The {function} function requires that map values be {needs}. Found: {Shortened(value)}");

    private static string Shortened(JsonElement value) => value.GetRawText() is { Length: > 100 } text ? text[..100] : value.GetRawText();

    private sealed class CountReducer : Reducer
    {
        private long _count;

        public override void Add(ScanRow row) => _count++;

        public override string Take()
        {
            var taken = _count;
            _count = 0;
            return JsonSerializer.Serialize(taken);
        }
    }

    private sealed class StatsReducer : Reducer
    {
        private (double Sum, long Count, double Min, double Max, double Squares) _all;

        public override void Add(ScanRow row)
        {
            using var json = JsonDocument.Parse(row.Value!);
            var number = Number(json.RootElement, "_stats", "numbers");
            _all = _all.Count is 0 ? (number, 1, number, number, number * number)
                : (_all.Sum + number, _all.Count + 1, Math.Min(_all.Min, number), Math.Max(_all.Max, number), _all.Squares + (number * number));
        }

        public override string Take()
        {
            var (sum, count, min, max, sumsqr) = _all;
            _all = default;
            return JsonSerializer.Serialize(new { sum, count, min, max, sumsqr });
        }
    }

    /// <summary>Numbers, lists item by item, and objects member by member.</summary>
    private sealed class SumReducer : Reducer
    {
        private JsonNode? _sum;

        public override void Add(ScanRow row)
        {
            using var json = JsonDocument.Parse(row.Value!);
            _sum = Sum(_sum, json.RootElement);
        }

        public override string Take()
        {
            var taken = _sum?.ToJsonString() ?? "0";
            _sum = null;
            return taken;
        }

        private static JsonNode Sum(JsonNode? sum, JsonElement value)
        {
            switch (value.ValueKind)
            {
                case JsonValueKind.Array:
                    var items = sum as JsonArray ?? (sum is JsonObject ? throw Mixed() : sum is null ? [] : [sum]);
                    var n = 0;
                    foreach (var item in value.EnumerateArray())
                    {
                        if (n < items.Count)
                        {
                            items[n] = Sum(items[n]!.DeepClone(), item);
                        }
                        else
                        {
                            items.Add(Sum(null, item));
                        }
                        n++;
                    }
                    return items;
                case JsonValueKind.Object:
                    var members = sum as JsonObject ?? (sum is null ? [] : throw Mixed());
                    foreach (var member in value.EnumerateObject())
                    {
                        members[member.Name] = Sum(members[member.Name]?.DeepClone(), member.Value);
                    }
                    return members;
                default:
                    var number = Number(value, "_sum", "numbers, lists of numbers, or objects of them");
                    switch (sum)
                    {
                        case JsonArray { Count: > 0 } list:
                            list[0] = Sum(list[0]!.DeepClone(), value);
                            return list;
                        case JsonArray list:
                            list.Add(number);
                            return list;
                        case JsonObject:
                            throw Mixed();
                        default:
                            return JsonValue.Create((sum?.GetValue<double>() ?? 0) + number);
                    }
            }
        }

        private static SyncException Mixed() => new(500, "builtin_reduce_error", "The _sum function found objects and other values in one group.");
    }

    private sealed class ScriptReducer(string name, string reduce, SyncOptions options) : Reducer
    {
        private const int MostRows = 200;
        private const int MostParts = 50;
        private const int MostLength = 500_000;

        private static readonly Prepared<Acornima.Ast.Script> Answering = Engine.PrepareScript("""
            (function (reduce) {
              const stringify = JSON.stringify;
              return (keys, values, rereduce) => { const value = stringify(reduce(keys, values, rereduce)); return value === undefined ? "null" : value; };
            })
            """);

        private readonly ScriptFunction _function = new(name, reduce, options, Answering);
        private readonly List<string> _parts = [];
        private readonly StringBuilder _keys = new();
        private readonly StringBuilder _values = new();
        private int _rows;

        public override void Add(ScanRow row)
        {
            _keys.Append(_rows is 0 ? '[' : ',').Append('[').Append(row.Key).Append(',').Append(JsonSerializer.Serialize(row.Position.Id)).Append(']');
            _values.Append(_rows is 0 ? '[' : ',').Append(row.Value);
            if (++_rows >= MostRows || _keys.Length + _values.Length > MostLength)
            {
                Reduce();
            }
        }

        public override string Take()
        {
            if (_rows > 0)
            {
                Reduce();
            }
            if (_parts.Count > 1)
            {
                Rereduce();
            }
            var taken = _parts[0];
            _parts.Clear();
            return taken;
        }

        private void Reduce()
        {
            _parts.Add(Call(_keys.Append(']').ToString(), _values.Append(']').ToString(), "false"));
            _keys.Clear();
            _values.Clear();
            _rows = 0;
            if (_parts.Count >= MostParts)
            {
                Rereduce();
            }
        }

        private void Rereduce()
        {
            var one = Call("null", $"[{string.Join(',', _parts)}]", "true");
            _parts.Clear();
            _parts.Add(one);
        }

        /// <summary>What throws makes null, as CouchDB's own server of functions has it; what goes beyond a bound ends the query.</summary>
        private string Call(string keys, string values, string rereduce)
        {
            try
            {
                return _function.Call(keys, values, rereduce).ToString();
            }
            catch (SyncException failure) when (failure.Error is not "os_process_error")
            {
                return "null";
            }
        }
    }
}
