using System.Text.Json;
using System.Text.Json.Nodes;

namespace BackendSystems.Crm;

/// <summary>JSON merge patch, RFC 7396.</summary>
internal static class CustomerPatch
{
    /// <returns>The patched fields; what the patch has wrong is in <paramref name="errors"/>.</returns>
    public static CustomerFields? Apply(CustomerFields current, JsonObject patch, Dictionary<string, string[]> errors)
    {
        var target = JsonSerializer.SerializeToNode(current, JsonSerializerOptions.Web)!.AsObject();
        try
        {
            foreach (var (name, _) in patch.Where(member => !target.ContainsKey(member.Key)))
            {
                errors[name] = [$"{name} cannot be changed here. Valid: {string.Join(", ", target.Select(member => member.Key))}."];
            }

            return Merge(target, patch).Deserialize<CustomerFields>(JsonSerializerOptions.Web);
        }
        catch (JsonException exception)
        {
            errors[(exception.Path ?? "$").Replace("$.", "")] = ["The value has the wrong type: compare the member with a customer you read."];
            return null;
        }
        catch (InvalidOperationException)
        {
            // JSON can escape half of a surrogate pair, and the tree is decoded as it is read.
            errors["$"] = ["A text holds half of a surrogate pair. Send whole characters."];
            return null;
        }
    }

    private static JsonObject Merge(JsonObject target, JsonObject patch)
    {
        foreach (var (name, value) in patch)
        {
            if (value is JsonObject inner)
            {
                target[name] = Merge(target[name] is JsonObject existing ? existing.DeepClone().AsObject() : [], inner);
            }
            else if (value is null)
            {
                target.Remove(name);
            }
            else
            {
                target[name] = value.DeepClone();
            }
        }

        return target;
    }
}
