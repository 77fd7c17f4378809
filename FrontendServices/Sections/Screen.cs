using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.WebUtilities;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace FrontendServices.Sections;

/// <summary>
/// One answer made of sections that are asked for at the same time. Each stands for itself: one that fails or is late is replaced by what is kept of it,
/// or says why it is not there, and the whole is there within the request's <see cref="Deadline"/>. That the token is not enough for one of them (401, 403), or
/// that the thing itself is not there (404), is the answer of the whole.
/// </summary>
internal sealed class Screen(Screens screens, HttpContext http, SectionSet set, IReadOnlyCollection<string> wanted, Dictionary<string, FieldTree>? fields)
    : IDisposable
{
    /// <summary>Between the end of waiting for sections and the end of the deadline: for writing the answer.</summary>
    private static readonly TimeSpan ForWriting = TimeSpan.FromMilliseconds(15);

    private readonly CancellationTokenSource _deadline = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
    private readonly TaskCompletionSource<Problem> _decided = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<(string Name, Task<SectionAnswer> Answer)> _sections = new(set.Names.Count);
    private bool _isStarted;

    /// <summary>Asked for once, for several sections, when the first of them needs it.</summary>
    public SharedCall<T> Share<T>(Func<CancellationToken, Task<T>> call) => new(() => call(Token()));

    /// <summary>Asked for once at a time, for all screens: the answer is the same for everybody.</summary>
    /// <param name="key">Of the answer, with its type.</param>
    public Task<T> JoinAsync<T>(object key, Func<Task<T>> call) => screens.UnderWay.JoinAsync(key, call);

    /// <summary>How long a section may wait for what it can do without: three quarters of what is left.</summary>
    public static TimeSpan Patience => (Deadline.Current?.Remaining ?? Screens.WithoutDeadline) * 0.75;

    /// <summary>Starts a section, unless the caller does not want it.</summary>
    /// <param name="name">One of the set.</param>
    /// <param name="subject">Whom or what it is about, for <see cref="SectionCache.Evict"/>; <c>customer:</c> begins what only the customer may see.</param>
    /// <param name="key">Tells it from other sections about the subject.</param>
    /// <param name="ask">Null when the thing that the screen is about does not exist.</param>
    /// <param name="missing">What to say of that.</param>
    public void Add<T>(string name, string subject, string key, Func<CancellationToken, Task<T?>> ask, string? missing = null) where T : class =>
        _sections.Add((name, wanted.Contains(name) ? AskAsync(name, subject, key, ask, missing) : SectionAnswer.SkippedTask));

    public async Task<IResult> AnswerAsync()
    {
        var all = Task.WhenAll(_sections.Select(section => section.Answer));
        if (!all.IsCompletedSuccessfully)
        {
            await Task.WhenAny(all, _decided.Task);
        }
        if (_decided.Task.IsCompletedSuccessfully)
        {
            await _deadline.CancelAsync();
            return Refuse(await _decided.Task);
        }
        return new ScreenResult(_sections.ConvertAll(section => (section.Name, section.Answer.Result)), fields);
    }

    public void Dispose() => _deadline.Dispose();

    private CancellationToken Token()
    {
        if (!_isStarted)
        {
            _isStarted = true;
            var left = (Deadline.Current?.Remaining ?? Screens.WithoutDeadline) - ForWriting;
            _deadline.CancelAfter(left > TimeSpan.Zero ? left : TimeSpan.Zero);
        }
        return _deadline.Token;
    }

    private Task<SectionAnswer> AskAsync<T>(string name, string subject, string key, Func<CancellationToken, Task<T?>> ask, string? missing) where T : class
    {
        var kept = screens.Cache.Find(subject, key);
        return kept is not null && screens.Cache.IsFresh(subject, kept)
            ? Task.FromResult(SectionAnswer.Fresh(kept))
            : AskAsync(name, subject, key, kept, ask, missing);
    }

    private async Task<SectionAnswer> AskAsync<T>(
        string name, string subject, string key, KeptSection? kept, Func<CancellationToken, Task<T?>> ask, string? missing) where T : class
    {
        var token = Token();
        try
        {
            var made = IsForEverybody(subject)
                ? await screens.UnderWay.JoinAsync((subject, key), () => MakeAsync(subject, key, ask, token)).WaitAsync(token)
                : await MakeAsync(subject, key, ask, token);
            return made switch
            {
                null => Decide(404, missing ?? $"There is no {name}."),
                { IsStale: true } => SectionAnswer.Stale(made.Section, made.Section.AgeThen, null),
                _ => SectionAnswer.Fresh(made.Section),
            };
        }
        catch (ProblemException exception) when (exception.Problem.Status is StatusCodes.Status401Unauthorized or StatusCodes.Status403Forbidden)
        {
            _decided.TrySetResult(exception.Problem);
            return SectionAnswer.Skipped;
        }
        catch (ProblemException exception)
        {
            return Without(exception.Problem, exception);
        }
        catch (Exception exception) when (token.IsCancellationRequested)
        {
            return Without(ToProblem(CallFailure.TooLate), http.RequestAborted.IsCancellationRequested || _decided.Task.IsCompleted ? null : exception);
        }
        catch (Exception exception) when (CallFailure.From(exception) is { } failure)
        {
            return Without(ToProblem(failure), exception);
        }

        SectionAnswer Decide(int status, string detail)
        {
            _decided.TrySetResult(new(status, ReasonPhrases.GetReasonPhrase(status), detail));
            return SectionAnswer.Skipped;
        }

        Problem ToProblem(CallFailure failure) =>
            new(failure.Status, ReasonPhrases.GetReasonPhrase(failure.Status), $"The service behind {name} {failure.Reason}. Try again later.");

        SectionAnswer Without(Problem problem, Exception? exception)
        {
            var stale = kept is not null && screens.Cache.IsUsable(kept) ? kept : null;
            if (exception is not null)
            {
                screens.Tell(http, name, stale is null ? "is missing" : "is an old one", problem, exception);
            }
            return stale is null ? SectionAnswer.Failed(problem) : SectionAnswer.Stale(stale, screens.Cache.Age(stale), problem);
        }
    }

    /// <summary>Null when there is no such thing.</summary>
    private async Task<Made?> MakeAsync<T>(string subject, string key, Func<CancellationToken, Task<T?>> ask, CancellationToken token) where T : class
    {
        var note = CallNote.Begin();
        if (await ask(token).WaitAsync(token) is not { } data)
        {
            return null;
        }
        var json = JsonSerializer.SerializeToUtf8Bytes(data, screens.Json);
        var age = TimeSpan.FromSeconds(note.AgeSeconds);
        return new(note.IsStale || note.IsPartial ? screens.Cache.Pack(json, age) : screens.Cache.Keep(subject, key, json, age), note.IsStale);
    }

    private static bool IsForEverybody(string subject) => !subject.StartsWith("customer:", StringComparison.Ordinal);

    private ProblemHttpResult Refuse(Problem problem)
    {
        if (problem.Status is StatusCodes.Status401Unauthorized or StatusCodes.Status403Forbidden)
        {
            http.Response.Headers.WWWAuthenticate = problem.Status is StatusCodes.Status401Unauthorized
                ? "Bearer error=\"invalid_token\"" : "Bearer error=\"insufficient_scope\"";
        }
        return TypedResults.Problem(problem.Detail, statusCode: problem.Status, title: problem.Title);
    }

    private sealed record Made(KeptSection Section, bool IsStale);
}
