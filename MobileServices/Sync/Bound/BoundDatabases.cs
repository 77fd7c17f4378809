using System.Collections.Concurrent;
using Dapper;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using MobileServices.Sync.Databases;
using Npgsql;

namespace MobileServices.Sync.Bound;

/// <summary>
/// Databases that show a customer's records of the back office. One is there once it is in the settings, and is filled from the first call on. Its user's
/// token needs what the records need elsewhere: their scope, and the customer.
/// </summary>
internal sealed class BoundDatabases(NpgsqlDataSource source, DatabaseStore databases, BoundBell bell, IOptions<SyncOptions> options)
{
    private const int Remembered = 100_000;

    private readonly ConcurrentDictionary<DatabaseKey, string> _opened = new();

    public static async ValueTask<object?> FilterAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        var bound = http.RequestServices.GetRequiredService<IOptions<SyncOptions>>().Value.Bound;
        if (bound.Count > 0 && SyncCall.OfServer(http) is { Segments.Length: > 0 } call && bound.ContainsKey(call.Segments[0]))
        {
            await http.RequestServices.GetRequiredService<BoundDatabases>().OpenAsync(call);
        }
        return await next(context);
    }

    /// <exception cref="SyncException">The token does not allow it.</exception>
    private async Task OpenAsync(SyncCall call)
    {
        var user = call.Http.User;
        if (!user.HasScope(Scopes.Orders))
        {
            throw new SyncException(403, "forbidden", $"This database shows orders: the access token needs the scope '{Scopes.Orders}' too.");
        }
        var customer = user.CustomerId()
            ?? throw new SyncException(403, "forbidden", "This database shows a customer's orders, and the access token is not that of a customer. Link the account to one.");
        if (call.Segments.Length is 1 && HttpMethods.IsDelete(call.Http.Request.Method))
        {
            throw new SyncException(403, "forbidden", "This database is bound to the back office, and cannot be deleted.");
        }
        var whose = _opened.GetValueOrDefault(call.Database);
        if (whose is null)
        {
            whose = await BindAsync(call, customer);
            if (_opened.Count >= Remembered)
            {
                _opened.Clear();
            }
            _opened[call.Database] = whose;
        }
        if (whose != customer)
        {
            throw new SyncException(403, "forbidden", "This database shows the orders of another customer, to whom the account was linked before. Use another account.");
        }
    }

    /// <returns>The customer whose records it shows.</returns>
    private async Task<string> BindAsync(SyncCall call, string customer)
    {
        var database = await databases.TryFindAsync(call.Database, call.Aborted);
        if (database is null)
        {
            await databases.CreateAsync(call.Database, call.Aborted);
            database = await databases.TryFindAsync(call.Database, call.Aborted) ?? throw SyncException.NoDatabase();
        }
        await using var connection = await source.OpenConnectionAsync(call.Aborted);
        // Events are had from here on; what was before them is read.
        await connection.ExecuteAsync(new CommandDefinition("""
            with fresh as (insert into sync.bound (db_id, source, customer_id) values (@Id, @Source, @customer) on conflict (db_id) do nothing returning db_id)
            insert into sync.bound_read (db_id, order_id) select db_id, '' from fresh
            """, new { database.Id, options.Value.Bound[call.Database.Name].Source, customer }, cancellationToken: call.Aborted));
        var whose = await connection.QuerySingleAsync<string>(new CommandDefinition(
            "select customer_id from sync.bound where db_id = @Id", new { database.Id }, cancellationToken: call.Aborted));
        bell.Ring();
        return whose;
    }
}
