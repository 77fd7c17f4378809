using System.Collections.Concurrent;
using System.Diagnostics;
using MobileIntegration.Contracts;

namespace FrontendServices.Sections;

/// <summary>
/// Calls whose answers are the same for everybody: whoever asks while one is under way waits for its answer, so that a crowd whose kept answer has just run out
/// is one call. Such an answer may be as much older as a call takes.
/// </summary>
internal sealed class CallsUnderWay
{
    private readonly ConcurrentDictionary<object, Call> _calls = new();

    /// <param name="key">Of the answer, with its type.</param>
    /// <param name="call">In the name, the time and the trace of who asks first. When it ends because of these, the others ask for themselves.</param>
    public async Task<T> JoinAsync<T>(object key, Func<Task<T>> call)
    {
        var own = new Call<T>(call);
        var first = (Call<T>)_calls.GetOrAdd(key, own);
        if (first == own)
        {
            try
            {
                return await own.Answer.GetAsync();
            }
            finally
            {
                _calls.TryRemove(new(key, own));
            }
        }
        try
        {
            var answer = await first.Answer.GetAsync();
            Activity.Current?.AddLink(new(first.Trace));
            return answer;
        }
        catch (Exception exception) when (exception is OperationCanceledException or ProblemException
        {
            Problem.Status: StatusCodes.Status401Unauthorized or StatusCodes.Status403Forbidden or StatusCodes.Status504GatewayTimeout
        })
        {
            return await call();
        }
    }

    private abstract class Call
    {
        public ActivityContext Trace { get; } = Activity.Current?.Context ?? default;
    }

    private sealed class Call<T>(Func<Task<T>> call) : Call
    {
        public SharedCall<T> Answer { get; } = new(call);
    }
}
