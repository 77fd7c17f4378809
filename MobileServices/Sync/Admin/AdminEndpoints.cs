using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using MobileIntegration.Contracts;

namespace MobileServices.Sync.Admin;

/// <summary>What operators see: which documents are in conflict, and how far every device is. Bodies are not for them.</summary>
internal static class AdminEndpoints
{
    private const int MostRows = 200;
    private const int UsualRows = 50;

    public static void MapSyncAdmin(this IEndpointRouteBuilder admin)
    {
        admin.MapGet("/conflicts", ConflictsAsync).WithSummary("Documents with more than one leaf that lives; filters: app, user, database").ProducesValidationProblem();
        admin.MapGet("/devices", DevicesAsync).WithSummary("How far each device is in each database; filters: app, user, database, device").ProducesValidationProblem();
    }

    /// <param name="cursor"><c>next</c> of the page before.</param>
    private static async Task<Results<Ok<Page<ConflictedDocument>>, ValidationProblem>> ConflictsAsync(
        string? app, string? user, string? database, string? cursor, int? limit, AdminStore store, CancellationToken ct)
    {
        if (Check(limit, cursor, 2, out var after) is { } wrong)
        {
            return wrong;
        }
        var most = limit ?? UsualRows;
        var rows = await store.ConflictsAsync(new(app, user, database), after is null ? (0, "") : (Number(after[0]), after[1]), most, ct);
        return TypedResults.Ok(new Page<ConflictedDocument>([.. rows.Select(row => row.Document)], rows.Count == most ? Cursor(rows[^1].DatabaseId, rows[^1].Document.Id) : null));
    }

    /// <param name="cursor"><c>next</c> of the page before.</param>
    private static async Task<Results<Ok<Page<DeviceState>>, ValidationProblem>> DevicesAsync(
        string? app, string? user, string? database, Guid? device, string? cursor, int? limit, AdminStore store, CancellationToken ct)
    {
        if (Check(limit, cursor, 3, out var after) is { } wrong)
        {
            return wrong;
        }
        var most = limit ?? UsualRows;
        var position = after is null ? (0, Guid.Empty, "") : (Number(after[0]), Guid.TryParse(after[1], out var last) ? last : Guid.Empty, after[2]);
        var rows = await store.DevicesAsync(new(app, user, database), device, position, most, ct);
        return TypedResults.Ok(new Page<DeviceState>(
            [.. rows.Select(row => row.Device)], rows.Count == most ? Cursor(rows[^1].DatabaseId, rows[^1].Device.DeviceId, rows[^1].Device.User) : null));
    }

    private static ValidationProblem? Check(int? limit, string? cursor, int parts, out string[]? after)
    {
        after = cursor is null ? null : Parts(cursor);
        var errors = new Dictionary<string, string[]>();
        if (limit is < 1 or > MostRows)
        {
            errors["limit"] = [$"Must be from 1 to {MostRows}."];
        }
        if (cursor is not null && (after?.Length != parts || !long.TryParse(after[0], NumberStyles.None, CultureInfo.InvariantCulture, out _)))
        {
            errors["cursor"] = ["Must be the member next of the page before, as it was."];
        }
        return errors.Count is 0 ? null : TypedResults.ValidationProblem(errors, detail: "The query is not right: see errors.", title: "Bad Request");
    }

    private static string Cursor(params object[] parts) =>
        Convert.ToBase64String(Encoding.UTF8.GetBytes(string.Join('\0', parts.Select(part => Convert.ToString(part, CultureInfo.InvariantCulture))))).Replace('+', '-').Replace('/', '_');

    private static string[]? Parts(string cursor)
    {
        var bytes = new byte[cursor.Length];
        return Convert.TryFromBase64String(cursor.Replace('-', '+').Replace('_', '/'), bytes, out var length) ? Encoding.UTF8.GetString(bytes, 0, length).Split('\0') : null;
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}
