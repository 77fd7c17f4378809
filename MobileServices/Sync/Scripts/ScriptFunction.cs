using System.Collections.Concurrent;
using Acornima.Ast;
using Jint;
using Jint.Native;
using Jint.Native.Json;
using Jint.Native.Object;
using Jint.Runtime;
using Jint.Runtime.Interop;

namespace MobileServices.Sync.Scripts;

/// <summary>
/// A JavaScript function of a design document in a sandbox of its own: it sees its arguments and the language, and each call has its bounds
/// (<see cref="SyncOptions.ScriptMilliseconds"/> and others). Not for several threads at once.
/// </summary>
// What the engine disposes of are wrappers of .NET objects, and there are none.
#pragma warning disable CA1001
internal sealed class ScriptFunction
#pragma warning restore CA1001
{
    private const int MostCompiled = 500;

    /// <summary>By their text, so a changed design document is compiled anew.</summary>
    private static readonly ConcurrentDictionary<string, Prepared<Script>> Compiled = new(StringComparer.Ordinal);

    // What makes a long text in one step, before any bound is looked at.
    private static readonly Prepared<Script> Bounds = Engine.PrepareScript("""
        (function (most, lengthOf) {
          const check = (length) => { if (length > most) { throw new RangeError("The text is too long."); } };
          const own = (object, name, length) => {
            const original = object[name], call = Function.prototype.call.bind(original);
            Object.defineProperty(object, name, { writable: true, configurable: true, value: function (...given) { check(length(this, given)); return call(this, ...given); } });
          };
          own(String.prototype, "repeat", (text, [count]) => String(text).length * count);
          own(String.prototype, "padStart", (text, [length]) => +length);
          own(String.prototype, "padEnd", (text, [length]) => +length);
          own(Array.prototype, "join", (list, [between]) => lengthOf(list) + list.length * (between === undefined ? 1 : String(between).length));
          own(JSON, "stringify", (json, [value]) => lengthOf(value));
          globalThis.sum = (values) => { let total = 0; for (const value of values) { total += value; } return total; };
          globalThis.isArray = Array.isArray;
          globalThis.toJSON = JSON.stringify;
        })
        """);

    private readonly string _name;
    private readonly Engine _engine;
    private readonly JsonParser _parser;
    private readonly JsValue _function;

    /// <param name="name">What failures call it.</param>
    /// <param name="around">A function of the function and of how long a text may be; what it makes of it is called instead.</param>
    /// <exception cref="SyncException">It does not compile, or is no function.</exception>
    public ScriptFunction(string name, string source, SyncOptions options, Prepared<Script>? around = null)
    {
        _name = name;
        _engine = new(sandbox =>
        {
            sandbox.TimeoutInterval(TimeSpan.FromMilliseconds(options.ScriptMilliseconds));
            sandbox.LimitMemory(options.ScriptBytes);
            sandbox.LimitRecursion(options.ScriptDepth);
            sandbox.MaxStatements(options.ScriptStatements);
            sandbox.MaxArraySize(1_000_000);
            sandbox.RegexTimeoutInterval(TimeSpan.FromMilliseconds(options.ScriptMilliseconds));
            sandbox.DisableStringCompilation();
        });
        _parser = new(_engine);
        var most = (int)Math.Min(int.MaxValue, options.ScriptBytes / 8);
        _engine.Invoke(_engine.Evaluate(Bounds), most, new ClrFunction(_engine, "lengthOf", (_, given) => LengthOf(given.Length > 0 ? given[0] : JsValue.Undefined, most)));
        _function = Bounded(() => _engine.Evaluate(Compile(name, source)));
        if (!_function.IsCallable())
        {
            throw NotCompiled(name, "Expression does not eval to a function.");
        }
        if (around is { } made)
        {
            var function = _function;
            _function = Bounded(() => _engine.Invoke(_engine.Evaluate(made), function, most));
        }
    }

    /// <param name="arguments">JSON each.</param>
    /// <exception cref="SyncException">What the function throws, or that it goes beyond a bound.</exception>
    public JsValue Call(params ReadOnlySpan<string> arguments)
    {
        var values = new JsValue[arguments.Length];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = _parser.Parse(arguments[i]);
        }
        return Bounded(() => _engine.Invoke(_function, JsValue.Undefined, [.. values]));
    }

    /// <summary>About how long a value is as a text. What is beyond the most is not looked at.</summary>
    private static double LengthOf(JsValue value, int most)
    {
        var (length, left) = (0L, new Stack<JsValue>([value]));
        while (length <= most && left.TryPop(out var next))
        {
            length += next is JsString text ? text.Length + 2 : 4;
            if (next is not ObjectInstance inner || next.IsCallable())
            {
                continue;
            }
            foreach (var (name, member) in inner.GetOwnProperties())
            {
                length += inner is JsArray ? 1 : name.ToString().Length + 3;
                if (length > most)
                {
                    break;
                }
                if (member.Get is null && member.Value is { } there)
                {
                    left.Push(there);
                }
            }
        }
        return length;
    }

    private JsValue Bounded(Func<JsValue> run)
    {
        try
        {
            return run();
        }
        catch (JavaScriptException thrown)
        {
            throw Thrown(thrown);
        }
        catch (Exception exception) when (exception is TimeoutException or JintException or InsufficientExecutionStackException
            or System.Text.RegularExpressions.RegexMatchTimeoutException)
        {
            var bound = exception switch
            {
                MemoryLimitExceededException => nameof(SyncOptions.ScriptBytes),
                StatementsCountOverflowException => nameof(SyncOptions.ScriptStatements),
                RecursionDepthOverflowException or InsufficientExecutionStackException => nameof(SyncOptions.ScriptDepth),
                _ => nameof(SyncOptions.ScriptMilliseconds),
            };
            throw new SyncException(500, "os_process_error", $"{_name} was stopped: it went beyond Sync:{bound}. Change the function in its design document.");
        }
    }

    private SyncException Thrown(JavaScriptException thrown)
    {
        if (thrown.Error is JsObject told)
        {
            foreach (var (member, status) in new[] { ("forbidden", 403), ("unauthorized", 401) })
            {
                if (told.TryGetValue(member, out var reason) && !reason.IsUndefined())
                {
                    return new(status, member, reason.IsPrimitive() ? reason.ToString() : "The design document refuses it.");
                }
            }
        }
        return new(500, "unknown_error", $"{_name} failed: {thrown.Message}");
    }

    private static Prepared<Script> Compile(string name, string source)
    {
        if (Compiled.TryGetValue(source, out var known))
        {
            return known;
        }
        try
        {
            var compiled = Engine.PrepareScript($"({source}\n)");
            if (Compiled.Count >= MostCompiled)
            {
                Compiled.Clear();
            }
            Compiled[source] = compiled;
            return compiled;
        }
        catch (Exception exception) when (exception is ScriptPreparationException or InsufficientExecutionStackException)
        {
            throw NotCompiled(name, exception.InnerException?.Message ?? exception.Message);
        }
    }

    private static SyncException NotCompiled(string name, string why) =>
        new(500, "compilation_error", $"{name} does not compile: {why} Change it in its design document.");
}
