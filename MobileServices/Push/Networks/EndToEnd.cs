using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using MobileServices.Push.Networks.WebPush;

namespace MobileServices.Push.Networks;

/// <summary>
/// For devices of FCM and APNs that have registered keys: the content is encrypted to the device as Web Push does it (RFC 8291), and the network hands on what it cannot
/// read. In clear it gets the message's id and, for Apple's devices, what makes them hand the message to the app.
/// </summary>
internal static class EndToEnd
{
    /// <summary>The member with the content: aes128gcm (RFC 8188) in base64url, without padding. Its header has the salt and the sender's key; the device has all else.</summary>
    public const string Member = "encrypted";

    /// <summary>The app's own text of that name stands for a message that its extension has not decrypted (yet).</summary>
    public const string AlertKey = "ENCRYPTED_MESSAGE";

    /// <summary>A size tells the network no more than how many of these it has.</summary>
    private const int Step = 256;

    /// <summary>In bytes. With the delimiter it is a whole number of steps, and with the header, the tag, base64url and what goes in clear it is within the 4096 of both networks.</summary>
    public const int LargestContent = (11 * Step) - 1;

    /// <returns>What there is against it; null when it is encrypted.</returns>
    public static Outcome? Encrypt(Outgoing message, byte[] content, out string? encrypted)
    {
        encrypted = null;
        if (content.Length > LargestContent)
        {
            return new(OutcomeClass.Refused, $"the message has {content.Length} bytes, and {LargestContent} at most go encrypted to a device with keys");
        }
        try
        {
            encrypted = Base64Url.EncodeToString(MessageEncryption.Encrypt(content, message.P256dh!, message.Auth!, Step));
            return null;
        }
        catch (CryptographicException)
        {
            return new(OutcomeClass.Refused, "the registration's key cannot be encrypted to");
        }
    }

    /// <summary>Only an alert that may be changed is handed to the app's extension, so there has to be one.</summary>
    public static JsonObject Aps(bool silent) => silent
        ? new() { ["content-available"] = 1 }
        : new() { ["alert"] = new JsonObject { ["loc-key"] = AlertKey }, ["mutable-content"] = 1 };
}
