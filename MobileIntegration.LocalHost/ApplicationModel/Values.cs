namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>Has a value once the application runs.</summary>
public interface IValueProvider
{
    /// <summary>The value; waits for what it depends on, such as the allocation of a port. Null when there is none.</summary>
    ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default);

    ValueTask<string?> GetValueAsync(ValueProviderContext context, CancellationToken cancellationToken = default) =>
        GetValueAsync(cancellationToken);
}

/// <summary>Has an expression that stands for its value in text.</summary>
public interface IManifestExpressionProvider
{
    string ValueExpression { get; }
}

/// <summary>A value with an expression.</summary>
public interface IExpressionValue : IValueProvider, IManifestExpressionProvider;

/// <summary>Is made from other values or resources.</summary>
public interface IValueWithReferences
{
    IEnumerable<object> References { get; }
}

/// <summary>For whom a value is asked.</summary>
public class ValueProviderContext
{
    public DistributedApplicationExecutionContext? ExecutionContext { get; init; }

    /// <summary>The resource that will see the value.</summary>
    public IResource? Caller { get; init; }

    /// <summary>The network from which the caller looks; LocalHost knows only the local one.</summary>
    public NetworkIdentifier? Network { get; init; }
}

/// <summary>A network on which endpoints have addresses.</summary>
public record NetworkIdentifier(string Value);

/// <summary>The networks that have names.</summary>
public static class KnownNetworkIdentifiers
{
    public static readonly NetworkIdentifier LocalhostNetwork = new("localhost");
    public static readonly NetworkIdentifier PublicInternet = new(".");
}

/// <summary>A value that comes later; readers wait for it.</summary>
public sealed class ValueSnapshot<T>
    where T : notnull
{
    private TaskCompletionSource<T> _value = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool IsValueSet => _value.Task.IsCompletedSuccessfully;

    public Task<T> GetValueAsync(CancellationToken cancellationToken = default) => _value.Task.WaitAsync(cancellationToken);

    public void SetException(Exception exception)
    {
        if (!_value.TrySetException(exception))
        {
            _value = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _value.SetException(exception);
        }
    }

    public void SetValue(T value)
    {
        if (!_value.TrySetResult(value))
        {
            var replaced = new TaskCompletionSource<T>();
            replaced.SetResult(value);
            _value = replaced;
        }
    }

    internal T? ValueOrDefault => IsValueSet ? _value.Task.Result : default;
}

/// <summary>A connection string as an environment variable refers to it.</summary>
public class ConnectionStringReference(IResourceWithConnectionString resource, bool optional) : IExpressionValue, IValueWithReferences
{
    public IResourceWithConnectionString Resource { get; } = resource;

    public bool Optional { get; } = optional;

    string IManifestExpressionProvider.ValueExpression => Resource.ValueExpression;

    IEnumerable<object> IValueWithReferences.References => [Resource];

    ValueTask<string?> IValueProvider.GetValueAsync(CancellationToken cancellationToken) => ResolveAsync(cancellationToken);

    ValueTask<string?> IValueProvider.GetValueAsync(ValueProviderContext context, CancellationToken cancellationToken) =>
        ResolveAsync(cancellationToken);

    private async ValueTask<string?> ResolveAsync(CancellationToken ct)
    {
        var value = await Resource.GetConnectionStringAsync(ct).ConfigureAwait(false);
        if (string.IsNullOrEmpty(value) && !Optional)
        {
            throw new DistributedApplicationException(
                $"The connection string of '{Resource.Name}' is empty. Set ConnectionStrings__{Resource.Name}, or refer to it with optional: true.");
        }

        return value;
    }
}
